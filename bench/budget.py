# SPDX-License-Identifier: GPL-2.0-only
"""What each row of bench/run may cost: bench/budgets/MACHINE-MITIGATIONS.json."""
import json
import os

HERE = os.path.dirname(os.path.abspath(__file__))
# A row may grow by so much until somebody has to say why.
ALLOWED = 0.02
# There to compare others with, and without a line of vitro's: where the kernel's data come to
# lie moves it by more than that.
OF_THE_HOST = ("page fault of the host's own, new page",)


def path_of(machine, mitigations):
    """The file with the budgets."""
    return os.path.join(HERE, "budgets", f"{machine}-{mitigations}.json")


def load(machine, mitigations):
    """The kernel that was measured and {row: budget}; None and {} without a file."""
    try:
        with open(path_of(machine, mitigations)) as file:
            data = json.load(file)
    except FileNotFoundError:
        return None, {}
    return data["kernel"], data["rows"]


def save(machine, mitigations, kernel, rows):
    """Write the budgets."""
    path = path_of(machine, mitigations)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        json.dump({"kernel": kernel, "rows": rows}, file, indent=1)
        file.write("\n")
    return path


def ours(rows):
    """Those that have a budget."""
    return {name: value for name, value in rows.items() if name not in OF_THE_HOST}


def growth(value, budget):
    """How much more it is, as a fraction."""
    return (value - budget) / budget if budget else float(value > 0)


def check(machine, mitigations, kernel, rows, wanted):
    """Compare with the budgets: a list of (row, complaint or None).

    rows is what was measured, {row: value}; wanted is a word in the names of all rows
    that were to be measured.
    """
    measured_with, budgets = load(machine, mitigations)
    remedy = (f"If that is worth it, say why in the commit that has the new budget: "
              f"bench/run --machine {machine} --mitigations {mitigations} --budget update")
    if measured_with not in (kernel, None):
        remedy = f"The budgets are of Linux {measured_with}, this is {kernel}. " + remedy
    results = []
    for name, value in ours(rows).items():
        if name not in budgets:
            results.append((name, f"measured {value}, and there is no budget yet. {remedy}"))
        elif growth(value, budgets[name]) > ALLOWED:
            results.append((name, f"measured {value}, the budget is {budgets[name]}: "
                            f"{growth(value, budgets[name]):+.1%}, more than {ALLOWED:.0%}. {remedy}"))
        else:
            results.append((name, None))
    results += [(name, f"has a budget of {budgets[name]}, but was not measured")
                for name in budgets if wanted in name and name not in rows]
    return results


def cheaper(machine, mitigations, rows):
    """The rows whose budget could be lower by more than what is allowed: (row, value, budget)."""
    _, budgets = load(machine, mitigations)
    return [(name, value, budgets[name]) for name, value in rows.items()
            if name in budgets and growth(value, budgets[name]) < -ALLOWED]


def update(machine, mitigations, kernel, rows, wanted):
    """Make what was measured the budget; a list of lines that tell what has changed."""
    _, old = load(machine, mitigations)
    new = {name: budget for name, budget in old.items() if wanted not in name or name in rows}
    new.update(ours(rows))
    path = save(machine, mitigations, kernel, new)
    lines = [os.path.relpath(path)]
    for name in list(new) + [name for name in old if name not in new]:
        before, after = old.get(name), new.get(name)
        if before is None or after is None:
            lines.append(f"  {name}: {'new' if before is None else 'gone'}, {before or after}")
        elif before != after:
            lines.append(f"  {name}: {before} -> {after} ({growth(after, before):+.1%})")
    return lines
