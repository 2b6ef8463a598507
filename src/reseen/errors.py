"""The one exception that a user is meant to read."""


class ReseenError(Exception):
    """A mistake or bad input that the user can mend.

    The message is one line: what is wrong, where, and what to do. The command line prints it
    and ends with exit code 2.
    """
