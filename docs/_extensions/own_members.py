"""Leaves members out of the reference that users of a class do not call.

Methods that scikit-learn or torch define have docstrings that link to pages of their own sites. Objects of options have some
more, which the library calls.
"""

OWN = "fastsoftmax"
FOR_THE_LIBRARY = {"check", "check_labels", "damped_rule", "labels_used", "learns", "rule", "threshold", "trains_as"}


def skip(app, what, name, member, skip, options):
    """Whether autodoc leaves a member out; None leaves the choice to autodoc."""
    if what != "class":
        return None
    function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
    module = getattr(function, "__module__", None)
    return True if name in FOR_THE_LIBRARY or (module is not None and not module.startswith(OWN)) else None


def setup(app):
    app.connect("autodoc-skip-member", skip)
    return {"parallel_read_safe": True}
