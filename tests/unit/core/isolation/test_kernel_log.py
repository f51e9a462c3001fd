from __future__ import annotations

from core.isolation.kernel_log import KernelLog, MemoryKill

# As Linux 6.1 writes them, one record each.
WHERE = (
    "6,1204,98765432,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,"
    "oom_memcg=/o/orchard-1/project-shop,task_memcg=/o/orchard-1/project-shop,task=no, de) x,pid=4711,uid=0\n"
)
WHAT = (
    "3,1205,98765440,-;Memory cgroup out of memory: Killed process 4711 (no, de) x) total-vm:812340kB, "
    "anon-rss:102400kB, file-rss:1024kB, shmem-rss:0kB, UID:0 pgtables:248kB oom_score_adj:500\n"
)


def test_a_kill_is_known_by_its_group() -> None:
    log = KernelLog()
    log.close()
    for record in ("6,1,1,-;usb 1-1: new device\n", WHERE, WHAT):
        log.hear(record)
    assert log.take("project-post") == []
    kill = MemoryKill(group="/o/orchard-1/project-shop", pid=4711, program="no, de) x", memory_mb=101.0)
    assert log.take("orchard-1/project-shop") == [kill]
    assert log.take("orchard-1/project-shop") == []


def test_a_kill_of_the_whole_machine_is_nobody_s() -> None:
    log = KernelLog()
    log.close()
    log.hear(WHAT)
    assert log.take("/project-shop") == []
