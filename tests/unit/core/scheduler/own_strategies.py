"""Strategies of a user's own, good and bad."""

from __future__ import annotations

import os
import time

from core.scheduler.strategy import SchedulingStrategy


class Halves(SchedulingStrategy):
    def calculate_allocation(self, projects, total_resources):
        print("what is printed is no answer")
        return {one["name"]: {"agents": total_resources["agents"] // len(projects)} for one in projects}


class Greedy(SchedulingStrategy):
    def calculate_allocation(self, projects, total_resources):
        return {one["name"]: {"agents": total_resources["agents"]} for one in projects}


class Raises(SchedulingStrategy):
    def calculate_allocation(self, projects, total_resources):
        raise ZeroDivisionError("no projects today")


class Hangs(SchedulingStrategy):
    def calculate_allocation(self, projects, total_resources):
        while True:
            time.time()


class Dies(SchedulingStrategy):
    def calculate_allocation(self, projects, total_resources):
        os._exit(3)


class Nonsense(SchedulingStrategy):
    def calculate_allocation(self, projects, total_resources):
        return {projects[0]["name"]: {"agents": float("nan")}}


class GoodOnce(SchedulingStrategy):
    asked = 0

    def calculate_allocation(self, projects, total_resources):
        self.asked += 1
        if self.asked > 1:
            raise RuntimeError("not twice")
        return {"a": {"agents": 1}, "b": {"agents": 3}}


class NoStrategy:
    pass
