"""How a long training that consists of several steps ends after Ctrl-C with what was learned so far."""


class Interruptible:
    """A training that ends early once it is `interrupted`, and then leaves a usable model.

    Attributes
    ----------
    interrupted : bool
        Whether Ctrl-C has come since there was something to keep.
    """

    interrupted = False

    def despite_ctrl_c(self, step):
        """What a short step returns, without which all before it would be in vain: after Ctrl-C it is done from its beginning.

        The next Ctrl-C ends it.
        """
        try:
            return step()
        except KeyboardInterrupt:
            if self.interrupted:
                raise
            self.interrupted = True
            return step()
