"""Channels of notification: one's own, and the installation's for who manages settings."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response
from fastapi import Query as Parameter

from nebuloviz.api.deps import Asker, InPerson, needs
from nebuloviz.api.reading import StrictRoute
from nebuloviz.api.schemas.base import Cursor
from nebuloviz.api.schemas.notifications import (
    ChannelBody,
    ChannelItem,
    ChannelList,
    MadeChannel,
    MessageItem,
    MessageList,
    NewChannelBody,
    Rule,
)
from nebuloviz.api.versions import IfMatch, show_version
from nebuloviz.models import MAX_ID
from nebuloviz.permissions import Permission
from nebuloviz.services.interfaces import ChannelDraft, ChannelView, NotificationRule
from nebuloviz.services.notification_rules import clock_of, minutes_of

router = APIRouter(prefix="/notifications", tags=["notifications"], route_class=StrictRoute)
Reader = Annotated[Asker, Depends(needs(Permission.ALERTS_READ))]
ChannelId = Annotated[int, Path(ge=1, le=MAX_ID)]


@router.get("/channels", summary="Your channels")
async def channels(asker: Reader) -> ChannelList:
    """And the installation's, for who manages settings."""
    found = await asker.ask(asker.services.notifications.channels)
    return ChannelList(items=[_item(view) for view in found])


@router.post("/channels", summary="A new channel", status_code=201)
async def create_channel(asker: InPerson, body: NewChannelBody, response: Response) -> MadeChannel:
    made = await asker.act(asker.services.notifications.create, body.kind, _draft(body), shared=body.shared)
    show_version(response, made.view.version)
    return MadeChannel(secret=made.secret, item=_item(made.view))


@router.get("/channels/{channel_id}", summary="One channel")
async def channel(asker: Reader, channel_id: ChannelId, response: Response) -> ChannelItem:
    return _versioned(response, await asker.ask(asker.services.notifications.channel, channel_id))


@router.put("/channels/{channel_id}", summary="Change a channel")
async def change_channel(
    asker: InPerson, channel_id: ChannelId, body: ChannelBody, if_match: IfMatch, response: Response
) -> ChannelItem:
    service = asker.services.notifications
    version = if_match if if_match is not None else (await asker.ask(service.channel, channel_id)).version
    return _versioned(response, await asker.act(service.change, channel_id, version, _draft(body)))


@router.delete("/channels/{channel_id}", summary="Take a channel away, with its log", status_code=204)
async def delete_channel(asker: InPerson, channel_id: ChannelId) -> None:
    await asker.act(asker.services.notifications.delete, channel_id)


@router.post("/channels/{channel_id}/test", summary="Send a test", status_code=204)
async def test_channel(asker: InPerson, channel_id: ChannelId) -> None:
    """Returns once it was taken; 503 tells why it was not."""
    service = asker.services.notifications
    await asker.in_thread(service.send, await asker.act(service.trial, channel_id))


@router.get("/messages", summary="The delivery log, newest first")
async def messages(
    asker: Reader, cursor: Cursor = None, limit: Annotated[int, Parameter(ge=1, le=200)] = 50
) -> MessageList:
    page = await asker.ask(asker.services.notifications.messages, cursor, limit)
    return MessageList(items=[MessageItem.model_validate(item) for item in page.items], next=page.next_cursor)


def _draft(body: ChannelBody) -> ChannelDraft:
    rules = tuple(_rule(rule) for rule in body.rules)
    digest = None if body.digest_at is None else minutes_of(body.digest_at)
    return ChannelDraft(body.name, body.target, rules, body.enabled, body.group_minutes, body.most_per_hour, digest)


def _rule(rule: Rule) -> NotificationRule:
    segment = tuple((name, tuple(values)) for name, values in rule.segment.items())
    hours = minutes_of(rule.begin), minutes_of(rule.end)
    return NotificationRule(
        rule.least, tuple(rule.metrics), segment, rule.over, tuple(rule.days), *hours, rule.critical_always
    )


def _versioned(response: Response, view: ChannelView) -> ChannelItem:
    show_version(response, view.version)
    return _item(view)


def _item(view: ChannelView) -> ChannelItem:
    draft = view.draft
    return ChannelItem(
        id=view.id,
        kind=view.kind,
        shared=view.shared,
        name=draft.name,
        target=view.target,
        rules=[_told(rule) for rule in draft.rules],
        enabled=draft.enabled,
        group_minutes=draft.group_minutes,
        most_per_hour=draft.most_per_hour,
        digest_at=None if draft.digest_at is None else clock_of(draft.digest_at),
        version=view.version,
    )


def _told(rule: NotificationRule) -> Rule:
    told = {
        "least": rule.least,
        "metrics": list(rule.metrics),
        "segment": {name: list(values) for name, values in rule.segment},
        "over": rule.over,
        "days": list(rule.days),
        "begin": clock_of(rule.begin),
        "end": clock_of(rule.end),
        "critical_always": rule.critical_always,
    }
    return Rule.model_validate(told)
