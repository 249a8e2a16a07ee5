"""The demo's story: a contract, a week of slots, ten cases in different states."""

from datetime import datetime

from consortium.cli.demo_world import DemoWorld


def tell_story(world: DemoWorld, *, until: datetime) -> None:
    """Let five days pass in the consortium, up to `until`."""
    world.clock.pass_to(until)
    world.settle()
