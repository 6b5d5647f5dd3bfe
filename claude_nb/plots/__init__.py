"""Plots of what calls cost and why. Each takes a ledger or a frame and returns matplotlib Axes.

What was spent: ``spend``, ``budget``, ``daily``, ``hours``. On what: ``models``, ``top``, ``shares``, ``cache``,
``per_call``, ``waste``. Why: ``context``, ``waterfall``, ``what_if``. Also ``latency``,
``effect``, ``invoice``, ``dashboard``.

Colours are Okabe and Ito's, which colour-blind readers can tell apart. Each plot carries the frame it drew as
``ax.frame``, says in its caption what is simulated, estimated or unpriced, and in a notebook prints the numbers
it drew, so that a wrong plot fails a comparison of outputs.
"""

from .board import dashboard
from .caching import cache, cache_frame
from .days import daily, daily_frame, hours, hours_frame
from .effect import effect, effect_frame
from .growth import context, context_frame
from .invoices import invoice, invoice_frame
from .messages import waterfall, waterfall_frame
from .policies import what_if
from .ranking import models, models_frame, top, top_frame
from .scatter import latency, latency_frame, per_call, per_call_frame
from .shares import shares, shares_frame
from .spending import budget, budget_frame, spend, spend_frame
from .waste import waste, waste_frame

__all__ = [
    "budget",
    "budget_frame",
    "cache",
    "cache_frame",
    "context",
    "context_frame",
    "daily",
    "daily_frame",
    "dashboard",
    "effect",
    "effect_frame",
    "hours",
    "hours_frame",
    "invoice",
    "invoice_frame",
    "latency",
    "latency_frame",
    "models",
    "models_frame",
    "per_call",
    "per_call_frame",
    "shares",
    "shares_frame",
    "spend",
    "spend_frame",
    "top",
    "top_frame",
    "waste",
    "waste_frame",
    "waterfall",
    "waterfall_frame",
    "what_if",
]
