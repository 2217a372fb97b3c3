"""The axes that displays draw on."""


def pyplot(what):
    """matplotlib.pyplot, which `what` needs; ImportError that says how to install it."""
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError(f'{what} needs matplotlib: pip install "fastsoftmax[plot]"') from error
    return pyplot


def axes_of(display, ax):
    """Set `ax_` and `figure_` of a display to the axes `ax`, or to new ones if it is None; return the axes."""
    plt = pyplot(type(display).__name__)
    display.ax_ = plt.subplots(layout="constrained")[1] if ax is None else ax
    display.figure_ = display.ax_.figure
    return display.ax_
