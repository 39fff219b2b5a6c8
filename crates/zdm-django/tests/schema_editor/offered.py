"""What this Django offers to a migration: the names of classes, as JSON."""

import inspect
import json

from django.contrib.postgres import constraints, fields, indexes, operations as postgres_operations, search
from django.db import models
from django.db.migrations import operations
from django.db.migrations.operations.base import Operation
from django.db.models import functions
from django.db.models.constraints import BaseConstraint
from django.db.models.expressions import BaseExpression


def classes(base, *modules):
    found = set()
    for module in modules:
        for name, value in vars(module).items():
            if inspect.isclass(value) and issubclass(value, base) and not name.startswith("_"):
                found.add(name)
    return sorted(found)


print(
    json.dumps(
        {
            "operation": classes(Operation, operations, postgres_operations),
            "field": classes(models.Field, models, fields, search),
            "index": classes(models.Index, models, indexes),
            "constraint": classes(BaseConstraint, models, constraints),
            "function": classes(BaseExpression, functions),
        }
    )
)
