"""The factor report: how many lived each of the eight, this week, this month and over twelve weeks; also as CSV."""

import csv
import io

from flask import Blueprint, Response, render_template
from flask.typing import ResponseReturnValue

from service import clock, db
from service.actions.report import factors
from service.actions.report.factors import Report
from service.web.auth import me, signed_in

bp = Blueprint("report", __name__, url_prefix="/console/report")
FEW = "fewer than 5"


def shown(number: int | None) -> str:
    """`15 or more`, or that there were too few."""
    return FEW if number is None else f"{number} or more"


@bp.get("/")
@signed_in
def index() -> ResponseReturnValue:
    """The report."""
    with db.reading() as session:
        found = factors.report(session, me())
    return render_template("console/report.html", report=found, shown=shown, smallest=factors.SMALLEST)


@bp.get("/factors.csv")
@signed_in
def download() -> ResponseReturnValue:
    """The same numbers, with the same floor."""
    found = factors.download(me())
    name = f"factors-{clock.now():%Y-%m-%d}.csv"
    return Response(_csv(found), mimetype="text/csv", headers={"Content-Disposition": f'attachment; filename="{name}"'})


def _csv(found: Report) -> str:
    out = io.StringIO()
    rows = csv.writer(out)
    weeks = [f"week from {begin:%Y-%m-%d}" for begin in found.weeks]
    rows.writerow(["who", "factor", "last 7 days", "last 30 days", *weeks])
    for scope in found.scopes:
        name = scope.name if scope.name[:1] not in "=+-@\t\r" else f"'{scope.name}"  # no formula in a spreadsheet
        for line in scope.lines:
            rows.writerow(
                [name, line.factor.name, shown(line.week), shown(line.month), *(shown(number) for number in line.trend)]
            )
    return out.getvalue()
