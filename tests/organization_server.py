"""The organisation's usage and cost endpoints on loopback: their shapes, rules, grouping and pages.

It bills a list of requests by a price list of its own, so that the ledger's prices are compared with something else.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from urllib.parse import parse_qs, urlsplit

from ledger_server import Reply, Server

ADMIN_KEY = "sk-ant-admin01-" + "Zz9" * 20
TOKEN_TYPES = (
    "uncached_input_tokens",
    "cache_creation.ephemeral_5m_input_tokens",
    "cache_creation.ephemeral_1h_input_tokens",
    "cache_read_input_tokens",
    "output_tokens",
)
USD_PER_MILLION = {  # in the order of TOKEN_TYPES
    "claude-opus-5-5": ("4", "5", "8", "0.2", "20"),
    "claude-haiku-5-5": ("0.1", "0.125", "0.2", "0.01", "0.5"),
    "claude-new-9": ("1", "1", "1", "1", "1"),
}


@dataclass
class Request:
    """One request as it was billed."""

    at: str
    tokens: tuple = (0, 0, 0, 0, 0)
    model: str | None = "claude-opus-5-5"
    searches: int = 0
    service_tier: str = "standard"
    speed: str = "standard"
    inference_geo: str | None = None
    workspace_id: str = "wrkspc_ours"
    discount: str = "0"  # as a share of the list price
    currency: str | None = "USD"
    other: tuple = ()  # a cost type without tokens, and its USD

    def costs(self):
        """USD at list price, by cost type and token type."""
        factor = Decimal("0.5") if self.service_tier == "batch" else Decimal(1)
        factor *= Decimal("1.1") if self.inference_geo == "us" else 1
        if self.other:
            yield self.other[0], None, Decimal(self.other[1])
            return
        for kind, count, price in zip(TOKEN_TYPES, self.tokens, USD_PER_MILLION[self.model], strict=True):
            if count:
                yield "tokens", kind, count * Decimal(price) * factor / 10**6
        if self.searches:
            yield "web_search", None, self.searches * Decimal("0.01")


class Organization(Server):
    """The two endpoints over a list of requests."""

    def __init__(self, *requests, refreshed="2026-11-23T00:00:00Z", page=1_000):
        super().__init__()
        self.requests, self.refreshed, self.page = requests, refreshed, page

    def take(self, path, body):
        self.hits.append((path, body))
        address = urlsplit(path)
        asked = {name.removesuffix("[]"): values for name, values in parse_qs(address.query).items()}
        problem = self.refusal(address.path, asked)
        if problem:
            status, kind, text = problem
            return Reply({"type": "error", "error": {"type": kind, "message": text}}, status=status)
        rows = list(self.rows(address.path.rsplit("/", 1)[-1], asked))
        first = int(asked.get("page", ["0"])[0])
        last = first + min(self.page, int(asked.get("limit", ["20"])[0]))
        answer = {"data": rows[first:last], "has_more": last < len(rows), "data_refreshed_at": self.refreshed}
        return Reply({**answer, "next_page": str(last) if last < len(rows) else None})

    def refusal(self, path, asked):
        sent = {name.lower(): value for name, value in self.headers.items()}.get("authorization")
        if sent != f"Bearer {ADMIN_KEY}":
            return 401, "authentication_error", f"invalid key {sent}"  # a server that echoes it
        if "analytics-usage-cost-2026-08-24" not in str(self.headers):
            return 400, "invalid_request_error", "the beta header is missing"
        if path not in ("/v1/organizations/analytics/usage", "/v1/organizations/analytics/cost"):
            return 404, "not_found_error", path
        start, end = (datetime.fromisoformat(asked[name][0]) for name in ("starting_at", "ending_at"))
        dimensions = set(asked.get("group_by", [])) - {"cost_type", "token_type"}
        if start.tzinfo is None or end - start > timedelta(days=31) or len(dimensions) > 5:
            return 400, "invalid_request_error", "the range or the grouping is not allowed"
        return None

    def rows(self, endpoint, asked):
        start, end = (datetime.fromisoformat(asked[name][0]) for name in ("starting_at", "ending_at"))
        by = asked.get("group_by", [])
        groups = defaultdict(list)
        for request in self.requests:
            at = datetime.fromisoformat(request.at)
            chosen = asked.get("workspace_ids")
            if start <= at < end and (chosen is None or request.workspace_id in chosen):
                day = at.date().isoformat()
                groups[day, *(getattr(request, name) for name in by if hasattr(request, name))].append(
                    request
                )
        names = [name for name in by if hasattr(Request("2026-11-01"), name)]
        for (day, *values), requests in sorted(groups.items(), key=str):
            group = dict(zip(names, values, strict=True))
            next_day = (datetime.fromisoformat(day) + timedelta(days=1)).date().isoformat()
            period = {"starting_at": f"{day}T00:00:00Z", "ending_at": f"{next_day}T00:00:00Z"}
            yield from (
                self.usage(period, group, requests)
                if endpoint == "usage"
                else self.cost(period, group, requests)
            )

    def usage(self, period, group, requests):
        sums = [sum(request.tokens[place] for request in requests) for place in range(5)]
        yield {
            **period,
            "group": group,
            "usage": {
                "uncached_input_tokens": sums[0],
                "cache_creation": {
                    "ephemeral_5m_input_tokens": sums[1],
                    "ephemeral_1h_input_tokens": sums[2],
                },
                "cache_read_input_tokens": sums[3],
                "output_tokens": sums[4],
                "server_tool_use": {"web_search_requests": sum(request.searches for request in requests)},
                "total_tokens": sum(sums),
                "requests": len(requests),
            },
        }

    def cost(self, period, group, requests):
        sums = defaultdict(lambda: [Decimal(0), Decimal(0)])
        for request in requests:
            for cost_type, token_type, usd in request.costs():
                amounts = sums[cost_type, token_type, request.currency]
                amounts[0] += usd * (1 - Decimal(request.discount)) * 100
                amounts[1] += usd * 100
        for (cost_type, token_type, currency), (amount, listed) in sums.items():
            yield {
                **period,
                "group": {**group, "cost_type": cost_type, "token_type": token_type},
                "cost": {
                    "amount": f"{amount:f}",
                    "list_amount": f"{listed:f}",
                    "currency": currency,
                    "requests": None,
                },
            }
