"""Plots of what calls cost and why. Each takes a ledger or a frame and returns matplotlib Axes.

Colours are Okabe and Ito's, which colour-blind readers can tell apart. Each plot carries the frame it drew as
``ax.frame``, says in its caption what is simulated, estimated or unpriced, and in a notebook prints the numbers
it drew, so that a wrong plot fails a comparison of outputs.
"""

from .board import dashboard
from .effect import effect, effect_frame
from .growth import context, context_frame
from .policies import what_if
from .shares import shares, shares_frame
from .spending import budget, models, models_frame, spend, spend_frame

__all__ = [
    "budget",
    "context",
    "context_frame",
    "dashboard",
    "effect",
    "effect_frame",
    "models",
    "models_frame",
    "shares",
    "shares_frame",
    "spend",
    "spend_frame",
    "what_if",
]
