"""What the model calls of each swarm cost, by model.

In: cost rows. Out: `Chart`, or None without a price. Never: a call without a price drawn as free.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from reports.charts import plot, scales, svg, theme
from reports.numbers import number, quantity
from reports.queries.port import ModelCostRow
from reports.render.view import Chart, table_of

MODELS_MAX: Final = 12
OTHERS: Final = "other models"
BAR_PX: Final = 16
GAP_PX: Final = 8  # between two models


def cost_by_model(costs: Sequence[ModelCostRow]) -> Chart | None:
    """One bar a swarm and model, the dearest model first; what has no price is said, not drawn as 0."""
    priced = [c for c in costs if c.cost_usd]
    if not priced:
        return None
    totals: dict[str, float] = {}
    for c in priced:
        totals[c.model] = totals.get(c.model, 0.0) + (c.cost_usd or 0.0)
    largest = sorted(totals, key=lambda m: (-totals[m], m))[:MODELS_MAX]
    usd: dict[tuple[str, str], float] = {}
    for c in priced:
        model = c.model if c.model in largest else OTHERS
        usd[model, c.swarm_id] = usd.get((model, c.swarm_id), 0.0) + (c.cost_usd or 0.0)
    models = [*largest, *([OTHERS] if len(totals) > len(largest) else [])]
    swarms = list(dict.fromkeys(c.swarm_id for c in priced))
    keys = [plot.Key(s, theme.ink(i), shape="M-6,-6h12v12h-12Z") for i, s in enumerate(swarms)]
    legend, top = plot.legend(keys)
    left = plot.room_for([m or "not named" for m in models])
    group = BAR_PX * len(swarms) + GAP_PX
    frame = plot.Frame(left, top + 4, theme.WIDTH_PX - left - theme.EDGE_PX - 10, group * len(models))
    x = scales.linear(usd.values(), frame.left, frame.right, unit="USD", zero=True)
    centres = [frame.top + group * (i + 0.5) for i in range(len(models))]
    axes = plot.row_labels([m or "not named" for m in models], frame, centres)
    axes += plot.x_axis(x, frame, scales.title("cost", x))
    bars = [
        svg.tag(
            "rect",
            class_="mark",
            x=frame.left,
            y=centres[i] - BAR_PX * len(swarms) / 2 + BAR_PX * k + 1,
            width=max(x.px(usd[model, swarm]) - frame.left, 1),
            height=BAR_PX - 2,
            fill=theme.ink(k),
            data_v=f"{swarm}, {model or 'not named'}: {quantity(usd[model, swarm], 'USD')}",
        )
        for i, model in enumerate(models)
        for k, swarm in enumerate(swarms)
        if (model, swarm) in usd
    ]
    unpriced = sum(c.calls - c.priced for c in costs)
    description = "; ".join(f"{c.swarm_id}, {c.model}: ${number(c.cost_usd)}" for c in priced)
    if unpriced:
        description += f"; {unpriced} calls have no price and are not drawn"
    title = "What the model calls cost"
    rows = [(c.model or "not named", c.swarm_id, quantity(c.cost_usd, "USD"), f"{c.priced:,}") for c in priced]
    table = table_of(("model", "swarm", "cost", "priced calls"), rows)
    drawing = [legend, plot.panel(x, None, frame, axes, "".join(bars))]
    picture = svg.picture("cost", title, description, frame.bottom + plot.BELOW_PX, drawing, keys="marks")
    return Chart("cost", title, description, picture, table)
