"""The errors of fastconv.datasets."""


class DataError(ValueError):
    """A data set is damaged, incomplete, or not what it claims to be."""


class DataNotFoundError(DataError, FileNotFoundError):
    """A data set is in none of the places looked at, and could not be downloaded."""
