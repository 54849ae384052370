"""Runs notebooks and scripts written for Keras, unchanged, with fastconv in Keras' place: what `fastconv run` does.

The path of a file: `document.read` makes cells of it, `cells.prepare` parses them and leaves IPython's commands out,
`check.not_served` says what will be missing, `modules.StandIn` resolves the imports, `execute.execute` runs the cells.
"""
