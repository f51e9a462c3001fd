"""Strategies of a user's own, good and bad."""

from __future__ import annotations

import ctypes
import os
import subprocess
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


class AsInTheSeed(SchedulingStrategy):
    def calculate_allocation(self, projects, total_resources):
        # Custom allocation logic
        pass


class Exits(SchedulingStrategy):
    def calculate_allocation(self, projects, total_resources):
        raise SystemExit(4)


class Forks(Halves):
    def calculate_allocation(self, projects, total_resources):
        os.fork()
        return super().calculate_allocation(projects, total_resources)


class StartsAProgram(Halves):
    def calculate_allocation(self, projects, total_resources):
        subprocess.run(["true"], check=True)
        return super().calculate_allocation(projects, total_resources)


class ForksUnseen(Halves):
    """Both come back, the copy too."""

    def calculate_allocation(self, projects, total_resources):
        ctypes.CDLL(None).fork()
        return super().calculate_allocation(projects, total_resources)


class LeavesOneBehind(Halves):
    """A daemon in a session of its own, begun in a way that Python does not see."""

    def calculate_allocation(self, projects, total_resources):
        libc = ctypes.CDLL(None)
        if libc.fork() == 0:
            os.setsid()
            if libc.fork() == 0:
                libc.execlp(b"sleep", b"orchard-left-behind", b"600", None)
            os._exit(0)
        os.wait()
        return super().calculate_allocation(projects, total_resources)


class LeavesOneBehindAndDies(LeavesOneBehind):
    def calculate_allocation(self, projects, total_resources):
        super().calculate_allocation(projects, total_resources)
        os._exit(0)


class ReadsAndPrints(Halves):
    def calculate_allocation(self, projects, total_resources):
        try:
            input("How many? ")
        except EOFError:
            os.write(1, b'{"allocation": {}}\n')
        return super().calculate_allocation(projects, total_resources)


class Words(SchedulingStrategy):
    def calculate_allocation(self, projects, total_resources):
        return {one["name"]: {"agents": "many"} for one in projects}


class Unlimited(SchedulingStrategy):
    def calculate_allocation(self, projects, total_resources):
        return {one["name"]: {"agents": float("inf")} for one in projects}


class Stranger(SchedulingStrategy):
    def calculate_allocation(self, projects, total_resources):
        return {"nobody": {"agents": 1}}


class NoResource(SchedulingStrategy):
    def calculate_allocation(self, projects, total_resources):
        return {"a": {"cores": 1}}


class NoStrategy:
    pass
