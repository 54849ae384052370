"""From what a model emits to a list of calls: emit -> fuse -> differentiate -> arena -> bind (docs/architecture.md)."""
