"""Subscriptions and relations, on an informer that the test fills by hand."""

import orjson

from podling.controlplane.controllers.relations import Subscriptions
from podling.kube import kinds, meta
from podling.kube.informer import Informer
from podling.kube.meta import Object
from podling.kube.reflector import Source


def config_map(name: str, owner: str = "") -> Object:
    return {"metadata": {"name": name, "labels": {"owner": owner}, "resourceVersion": "1"}}


def owner_of(obj: Object) -> list[str]:
    return [owner for owner in [meta.labels(obj)["owner"]] if owner]


def put(informer: Informer, obj: Object) -> None:
    metadata = obj["metadata"]
    known = informer.resource_version(metadata["name"])
    metadata["resourceVersion"] = str(int(known or 0) + 1)
    informer.put(obj, orjson.dumps(obj))


async def test_whoever_was_and_is_related_hears_of_a_change() -> None:
    informer = Informer(Source(kinds.CONFIG_MAP, "", "", ""))
    put(informer, config_map("a", "x"))
    heard: list[str] = []
    subscriptions = Subscriptions()
    await subscriptions.relate(informer, owner_of, heard.append)
    assert heard == ["x"]
    put(informer, config_map("a", "y"))
    assert heard == ["x", "x", "y"]
    informer.remove(config_map("a", "y"))
    assert heard == ["x", "x", "y", "y"]
    put(informer, config_map("b"))
    assert len(heard) == 4


async def test_nothing_is_heard_after_the_end() -> None:
    informer = Informer(Source(kinds.CONFIG_MAP, "", "", ""))
    heard: list[str] = []
    subscriptions = Subscriptions()
    await subscriptions.add(informer, heard.append)
    put(informer, config_map("a"))
    subscriptions.end()
    put(informer, config_map("b"))
    assert heard == ["a"]


async def test_a_subscriber_that_fails_does_not_keep_others_from_hearing() -> None:
    informer = Informer(Source(kinds.CONFIG_MAP, "", "", ""))
    for number in range(3):
        put(informer, config_map(f"c{number}"))
    heard: list[str] = []

    def choosy(key: str) -> None:
        if key == "c1":
            raise ValueError(key)
        heard.append(key)

    await Subscriptions().add(informer, choosy)
    assert heard == ["c0", "c2"]
