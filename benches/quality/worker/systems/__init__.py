"""Every system by its name."""

from . import (
    fastsoftmax_,
    fasttext_,
    gensim_,
    liblinear_,
    libmultilabel_,
    napkinxc_,
    omikuji_,
    pecos_,
    sklearn_,
    torch_,
    vowpal_wabbit,
)

_MODULES = (
    fastsoftmax_,
    sklearn_,
    liblinear_,
    torch_,
    fasttext_,
    pecos_,
    napkinxc_,
    omikuji_,
    libmultilabel_,
    vowpal_wabbit,
    gensim_,
)
SYSTEMS = {system.name: system for module in _MODULES for system in module.SYSTEMS}
