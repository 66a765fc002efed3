"""Gateways and the devices behind them: news with versions, requests, statuses, products, scans (002 §2.1.2.7, §3.10)."""

import pytest

from rig.application import refused
from rig.deadline import wait_for
from rig.push_receiver import body_of
from rig.world import fresh_name

UP = "sys/events/up"
DOWN = "sys/events/down"


def say(link, event_type, paras, event_id=None, service="$sub_device_manager", about=None):
    event = {"service_id": service, "event_type": event_type, "paras": paras}
    if event_id is not None:
        event["event_id"] = event_id
    payload = {"services": [event]}
    if about is not None:
        payload["object_device_id"] = about
    link.send(UP, payload)


def heard(link, event_type) -> list[dict]:
    """The services of this type that have come down so far, each with the device it is about."""
    found = []
    for message in link.down(DOWN):
        [service] = message.json["services"]
        if service["event_type"] == event_type:
            found.append({**service, "object_device_id": message.json["object_device_id"]})
    return found


def wait_heard(link, event_type, count=1, where=lambda service: True, seconds=15) -> list[dict]:
    def look():
        found = [service for service in heard(link, event_type) if where(service)]
        return found if len(found) >= count else None

    return wait_for(look, seconds, what=f"{count} × {event_type}")


def ask(link, event_type, paras, answer=None, **more) -> dict:
    """Sends a request and returns the paras of its answer."""
    event_id = fresh_name("event")
    say(link, event_type, paras, event_id=event_id, **more)
    answer = answer or event_type.replace("_request", "_response")
    [found] = wait_heard(link, answer, where=lambda service: service["event_id"] == event_id)
    assert found["service_id"] == "$sub_device_manager"
    assert found["object_device_id"] == link.registration.device_id
    return found["paras"]


def ids(notices) -> list[str]:
    return [device["device_id"] for notice in notices for device in notice["paras"]["devices"]]


def versions(notices) -> list[int]:
    return [notice["paras"]["version"] for notice in notices]


@pytest.fixture
def gateway(world):
    return world.device()


@pytest.fixture
def link(gateway):
    return gateway.connect()


# --- news -------------------------------------------------------------------------------------------------------------

def test_an_added_device_is_told_at_once(world, gateway, link):
    child = world.child(gateway, device_name="meter", description="in the hall", extension_info={"a": 1})
    [notice] = wait_heard(link, "add_sub_device_notify")
    assert (notice["service_id"], notice["object_device_id"]) == ("$sub_device_manager", gateway.device_id)
    [device] = notice["paras"]["devices"]
    assert device == {
        "parent_device_id": gateway.device_id, "node_id": child.node_id, "device_id": child.device_id, "name": "meter",
        "description": "in the hall", "manufacturer_id": None, "model": "Thermometer", "product_id": child.product_id,
        "fw_version": None, "sw_version": None, "status": "INACTIVE", "extension_info": {"a": 1}}
    assert notice["paras"]["version"] >= 1


def test_a_deleted_device_is_told_with_a_higher_version(world, gateway, link):
    child = world.child(gateway)
    [added] = wait_heard(link, "add_sub_device_notify")
    world.app.delete_device(child.device_id)
    [deleted] = wait_heard(link, "delete_sub_device_notify")
    assert deleted["paras"]["devices"] == [
        {"parent_device_id": gateway.device_id, "node_id": child.node_id, "device_id": child.device_id}]
    assert deleted["paras"]["version"] > added["paras"]["version"]


def test_a_sync_brings_what_was_missed_in_the_order_of_change(world, gateway):
    first, second = world.child(gateway), world.child(gateway)
    link = gateway.connect()
    say(link, "sub_device_sync_request", {"version": 0})
    notices = wait_for(lambda: (n := heard(link, "add_sub_device_notify")) and len(ids(n)) == 2 and n)
    assert ids(notices) == [first.device_id, second.device_id]
    known = versions(notices)[-1]
    link.disconnect()
    world.app.delete_device(first.device_id)
    third = world.child(gateway)
    link = gateway.connect()
    say(link, "sub_device_sync_request", {"version": known})
    [deleted] = wait_heard(link, "delete_sub_device_notify")
    [added] = wait_heard(link, "add_sub_device_notify")
    assert (ids([deleted]), ids([added])) == ([first.device_id], [third.device_id])
    assert known < deleted["paras"]["version"] < added["paras"]["version"]


def test_a_sync_with_nothing_new_is_not_answered(world, gateway, link):
    world.child(gateway)
    [notice] = wait_heard(link, "add_sub_device_notify")
    say(link, "sub_device_sync_request", {"version": notice["paras"]["version"]})
    ask(link, "get_products", {"product_ids": []}, answer="get_products_response")
    assert len(heard(link, "add_sub_device_notify")) == 1 and not heard(link, "delete_sub_device_notify")


@pytest.mark.parametrize("paras", [{}, {"version": None}, {"version": -1}, {"version": 0}, {"version": "0"}])
def test_a_gateway_that_knows_nothing_gets_everything(world, gateway, paras):
    child, gone = world.child(gateway), world.child(gateway)
    world.app.delete_device(gone.device_id)
    link = gateway.connect()
    say(link, "sub_device_sync_request", paras, service="sub_device_manager")
    assert ids(wait_heard(link, "add_sub_device_notify")) == [child.device_id]
    assert not heard(link, "delete_sub_device_notify")


def test_a_gateway_that_knows_higher_versions_hears_of_higher_ones(world, gateway):
    children = {world.child(gateway).device_id for _ in range(3)}
    link = gateway.connect()
    say(link, "sub_device_sync_request", {"version": 1000})
    notices = wait_for(lambda: (n := heard(link, "add_sub_device_notify")) and len(ids(n)) == 3 and n)
    assert set(ids(notices)) == children and versions(notices)[0] > 1000


def test_long_lists_are_split_and_their_versions_rise(world, gateway):
    children = [world.child(gateway).device_id for _ in range(23)]
    link = gateway.connect()
    say(link, "sub_device_sync_request", {"version": 0})
    notices = wait_for(lambda: (n := heard(link, "add_sub_device_notify")) and len(ids(n)) == 23 and n)
    assert ids(notices) == children
    assert all(len(notice["paras"]["devices"]) <= 10 for notice in notices)
    told = versions(notices)
    assert told == sorted(set(told))


def test_devices_of_the_second_level_are_the_top_gateways_news(world, gateway, link):
    child = world.child(gateway)
    grandchild = world.child(child)
    notices = wait_for(lambda: (n := heard(link, "add_sub_device_notify")) and len(ids(n)) == 2 and n)
    devices = [device for notice in notices for device in notice["paras"]["devices"]]
    assert [(d["device_id"], d["parent_device_id"]) for d in devices] == [
        (child.device_id, gateway.device_id), (grandchild.device_id, child.device_id)]


def test_versions_survive_a_restart(own_world):
    gateway = own_world.device()
    child = own_world.child(gateway)
    own_world.platform.restart_after_kill()
    own_world.after_restart()
    link = gateway.connect()
    say(link, "sub_device_sync_request", {"version": 0})
    [notice] = wait_heard(link, "add_sub_device_notify")
    assert ids([notice]) == [child.device_id]
    own_world.app.delete_device(child.device_id)
    [deleted] = wait_heard(link, "delete_sub_device_notify")
    assert deleted["paras"]["version"] > notice["paras"]["version"]


# --- requests ---------------------------------------------------------------------------------------------------------

def test_a_gateway_registers_devices(world, gateway, link):
    names = [fresh_name("node") for _ in range(2)]
    chosen = fresh_name("chosen")
    answer = ask(link, "add_sub_device_request", {"devices": [
        {"node_id": names[0], "product_id": gateway.product_id, "name": "a", "parent_device_id": "", "device_id": "",
         "description": "", "extension_info": ""},
        {"node_id": names[1], "product_id": gateway.product_id, "device_id": chosen, "extension_info": {"k": "v"}}]})
    assert answer["failed_devices"] == []
    first, second = answer["successful_devices"]
    assert (first["device_id"], first["node_id"]) == (f"{gateway.product_id}_{names[0]}", names[0])
    assert (first["name"], first["status"], first["parent_device_id"]) == ("a", "INACTIVE", gateway.device_id)
    assert (second["device_id"], second["extension_info"]) == (chosen, {"k": "v"})
    shown = world.app.show_device(chosen)
    assert (shown.gateway_id, shown.node_id, shown.status) == (gateway.device_id, names[1], "INACTIVE")
    assert world.app.show_device(first["device_id"]).device_name == "a"


def test_each_device_of_a_request_has_its_own_outcome(world, gateway, link):
    known = world.child(gateway)
    name = fresh_name("node")
    answer = ask(link, "add_sub_device_request", {"devices": [
        {"node_id": known.node_id, "product_id": gateway.product_id},
        {"node_id": name, "product_id": gateway.product_id},
        {"node_id": "x", "product_id": "no-such-product"},
        {"node_id": "not an id", "product_id": gateway.product_id},
        {"node_id": "y", "product_id": gateway.product_id, "parent_device_id": "elsewhere"}]})
    assert [device["node_id"] for device in answer["successful_devices"]] == [name]
    failed = {device["node_id"]: device for device in answer["failed_devices"]}
    assert {name: device["error_code"] for name, device in failed.items()} == {
        known.node_id: "IOTDA.014031", "x": "IOTDA.013003", "not an id": "IOTDA.000006", "y": "IOTDA.021104"}
    assert all(device["error_msg"] and "product_id" in device for device in failed.values())


def test_a_gateway_registers_below_one_of_its_devices(world, gateway, link):
    child = world.child(gateway)
    answer = ask(link, "add_sub_device_request", {"devices": [
        {"node_id": fresh_name("node"), "product_id": gateway.product_id, "parent_device_id": child.device_id}]})
    [device] = answer["successful_devices"]
    assert device["parent_device_id"] == child.device_id
    assert world.app.show_device(device["device_id"]).gateway_id == child.device_id


def test_more_devices_than_fifty_are_refused(world, gateway, link):
    devices = [{"node_id": f"n{number}", "product_id": gateway.product_id} for number in range(51)]
    answer = ask(link, "add_sub_device_request", {"devices": devices})
    assert answer["successful_devices"] == []
    assert {device["error_code"] for device in answer["failed_devices"]} == {"IOTDA.014050"}
    assert world.app.list_devices(gateway_id=gateway.device_id).devices == []


def test_fifty_devices_are_taken(world, gateway, link):
    devices = [{"node_id": fresh_name("n"), "product_id": gateway.product_id} for _ in range(50)]
    answer = ask(link, "add_sub_device_request", {"devices": devices})
    assert len(answer["successful_devices"]) == 50 and answer["failed_devices"] == []


def test_a_gateway_deletes_its_devices_and_no_others(world, gateway, link):
    mine, foreign = world.child(gateway), world.child(world.device())
    answer = ask(link, "delete_sub_device_request",
                 {"devices": [mine.device_id, foreign.device_id, gateway.device_id, "nobody"]})
    assert answer["successful_devices"] == [mine.device_id]
    assert [(d["device_id"], d["error_code"]) for d in answer["failed_devices"]] == [
        (foreign.device_id, "IOTDA.021104"), (gateway.device_id, "IOTDA.021104"), ("nobody", "IOTDA.021104")]
    with refused(404, "IOTDA.014000"):
        world.app.show_device(mine.device_id)
    assert world.app.show_device(foreign.device_id).device_id == foreign.device_id


def test_a_gateway_changes_its_devices(world, gateway, link):
    mine, foreign = world.child(gateway, device_name="old", description="stays"), world.child(world.device())
    answer = ask(link, "update_sub_device_request", {"devices": [
        {"device_id": mine.device_id, "name": "new", "description": "", "extension_info": {"x": [1]}},
        {"device_id": foreign.device_id, "name": "stolen"}]})
    [changed] = answer["successful_devices"]
    assert (changed["device_id"], changed["name"], changed["description"], changed["extension_info"]) == (
        mine.device_id, "new", "stays", {"x": [1]})
    assert [(d["device_id"], d["error_code"]) for d in answer["failed_devices"]] == [(foreign.device_id, "IOTDA.021104")]
    shown = world.app.show_device(mine.device_id)
    assert (shown.device_name, shown.description, shown.extension_info) == ("new", "stays", {"x": [1]})


def test_an_event_id_is_made_for_a_request_without_one(gateway, link):
    say(link, "delete_sub_device_request", {"devices": ["nobody"]}, event_id="")
    [answer] = wait_heard(link, "delete_sub_device_response")
    assert len(answer["event_id"]) == 36


def test_products_are_told(world, gateway, link):
    space = world.app.add_app(fresh_name("space")).app_id
    foreign = world.product(app_id=space)
    answer = ask(link, "get_products", {"product_ids": [gateway.product_id, foreign, "no-such-product"]}, answer="get_products_response")
    [product] = answer["products"]
    assert (product["product_id"], product["device_type"], product["protocol_type"]) == (
        gateway.product_id, "Thermometer", "MQTT")
    assert {service["service_id"] for service in product["service_capabilities"]} == {"Temperature", "Battery"}
    world.app.delete_app(space)


# --- status -----------------------------------------------------------------------------------------------------------

def test_a_gateway_sets_the_status_of_its_devices(world, gateway, link):
    receiver = world.pushes()
    child, foreign = world.child(gateway), world.child(world.device())
    answer = ask(link, "sub_device_update_status", {"device_statuses": [
        {"device_id": child.device_id, "status": "ONLINE"}, {"device_id": foreign.device_id, "status": "ONLINE"},
        {"device_id": child.device_id, "status": "HAPPY"}]}, answer="sub_device_update_status_response")
    assert answer["successful_devices"] == [{"device_id": child.device_id, "status": "ONLINE"}]
    assert [(d["device_id"], d["error_code"]) for d in answer["failed_devices"]] == [
        (foreign.device_id, "IOTDA.021104"), (child.device_id, "IOTDA.000006")]
    assert world.app.show_device(child.device_id).status == "ONLINE"
    assert world.app.show_device(foreign.device_id).status == "INACTIVE"
    [push] = receiver.wait("device.status", child.device_id)
    assert body_of(push)["status"] == "ONLINE"
    ask(link, "sub_device_update_status", {"device_statuses": [{"device_id": child.device_id, "status": "OFFLINE"}]},
        answer="sub_device_update_status_response")
    assert world.app.show_device(child.device_id).status == "OFFLINE"


def test_a_hundred_statuses_and_not_one_more(world, gateway, link):
    child = world.child(gateway)
    one = {"device_id": child.device_id, "status": "ONLINE"}
    answer = ask(link, "sub_device_update_status", {"device_statuses": [one] * 101},
                 answer="sub_device_update_status_response")
    assert answer["successful_devices"] == [] and answer["failed_devices"][0]["error_code"] == "IOTDA.014050"
    assert world.app.show_device(child.device_id).status == "INACTIVE"
    answer = ask(link, "sub_device_update_status", {"device_statuses": [one] * 100},
                 answer="sub_device_update_status_response")
    assert len(answer["successful_devices"]) == 100 and answer["failed_devices"] == []


def test_the_status_stays_when_the_gateway_goes(own_world):
    gateway = own_world.device()
    child = own_world.child(gateway)
    link = gateway.connect()
    ask(link, "sub_device_update_status", {"device_statuses": [{"device_id": child.device_id, "status": "ONLINE"}]},
        answer="sub_device_update_status_response")
    before = own_world.rest.metric("causeway_device_departures_total")
    link.disconnect()
    # The minute until OFFLINE counts from the moment in which the platform saw the gateway leave.
    wait_for(lambda: own_world.rest.metric("causeway_device_departures_total") > before, what="the departure")
    own_world.rest.advance_clock(120_000)
    wait_for(lambda: own_world.app.show_device(gateway.device_id).status == "OFFLINE", what="the gateway to be OFFLINE")
    assert own_world.app.show_device(child.device_id).status == "ONLINE"


def test_the_status_stays_when_the_platform_starts_again(own_world):
    gateway, witness = own_world.device(), own_world.device()
    child = own_world.child(gateway)
    witness.connect()
    ask(gateway.connect(), "sub_device_update_status",
        {"device_statuses": [{"device_id": child.device_id, "status": "ONLINE"}]}, answer="sub_device_update_status_response")
    own_world.platform.restart_after_kill()
    own_world.after_restart()
    own_world.rest.advance_clock(120_000)
    wait_for(lambda: own_world.app.show_device(witness.device_id).status == "OFFLINE", what="a direct device to be OFFLINE")
    assert own_world.app.show_device(child.device_id).status == "ONLINE"


# --- through the gateway ----------------------------------------------------------------------------------------------

def test_messages_for_a_device_wait_for_its_gateway(world, gateway):
    child = world.child(gateway)
    sent = world.app.create_message(child.device_id, "kept", message_id=fresh_name("m"))
    assert sent.result.status == "PENDING"
    link = gateway.connect()
    message = link.wait_down("sys/messages/down")
    assert (message.json["object_device_id"], message.json["content"]) == (child.device_id, "kept")
    wait_for(lambda: world.app.show_message(child.device_id, sent.message_id).status == "DELIVERED", what="DELIVERED")


def test_desired_properties_of_a_device_wait_for_its_gateway(world, gateway):
    child = world.child(gateway)
    world.app.update_desired(child.device_id, "Battery", {"level": 7})
    link = gateway.connect()
    request = link.wait_down("sys/properties/set/request_id=").json
    assert request == {"object_device_id": child.device_id, "services": [{"service_id": "Battery", "properties": {"level": 7}}]}


def test_commands_for_the_second_level_go_through_the_top(world, gateway, link):
    grandchild = world.child(world.child(gateway))
    link.respond("sys/commands/", lambda request: {"result_code": 0, "paras": {"for": request.json["object_device_id"]}})
    answer = world.app.create_command(grandchild.device_id, "Temperature", "ON_OFF", {"value": "ON"})
    assert answer.response["paras"] == {"for": grandchild.device_id}


def test_overdue_gateways_with_devices_do_not_stand_before_others(own_world):
    for _ in range(3):
        own_world.child(own_world.device(auth_info={"timeout": 1}))
    lonely = own_world.device(auth_info={"timeout": 2})
    own_world.rest.advance_clock(10_000)
    wait_for(lambda: own_world.rest.get(f"/devices/{lonely.device_id}").status == 404, what="the overdue device to be gone")


# --- scans ------------------------------------------------------------------------------------------------------------

def test_a_scan(world, gateway, link):
    receiver = world.pushes()
    world.rest.post(f"/devices/{gateway.device_id}/scan", json={
        "protocol": "zigbee", "channel": "11", "scan_settings": {"seconds": 5}}).must_be(204)
    [start] = wait_heard(link, "start_scan")
    assert (start["service_id"], start["paras"]) == ("$sub_device_discovery", {
        "protocol": "zigbee", "channel": "11", "parent_device_id": "", "scan_settings": {"seconds": 5}})
    say(link, "scan_result", {"devices": [
        {"parent_device_id": gateway.device_id, "node_id": "n1", "product_id": "p", "name": None, "status": "ONLINE"},
        {"node_id": "n2"}, {"name": "without a node id"}]}, service="sub_device_discovery")
    [push] = receiver.wait("device.message", gateway.device_id, where=lambda p: "scan_result" in str(body_of(p)))
    assert [d["node_id"] for d in body_of(push)["content"]["services"][0]["paras"]["devices"]] == ["n1", "n2"]
    found = world.rest.get(f"/devices/{gateway.device_id}/scan-results").must_be(200).json
    assert found["page"]["count"] == 2
    assert [entry["device"] for entry in found["devices"]] == [
        {"node_id": "n2"},
        {"parent_device_id": gateway.device_id, "node_id": "n1", "product_id": "p", "status": "ONLINE"}]
    page = world.rest.get(f"/devices/{gateway.device_id}/scan-results", query={"limit": 1}).must_be(200).json
    rest = world.rest.get(f"/devices/{gateway.device_id}/scan-results", query={"limit": 1, "marker": page["page"]["marker"]})
    assert rest.must_be(200).json["devices"][0]["device"]["node_id"] == "n1"


def test_scans_are_for_gateways_that_are_there(world, gateway):
    child = world.child(gateway)
    world.rest.post(f"/devices/{gateway.device_id}/scan", json={}).must_be(400, "IOTDA.014028")
    world.rest.post(f"/devices/{child.device_id}/scan", json={}).must_be(400, "IOTDA.014029")
    world.rest.post("/devices/nobody/scan", json={}).must_be(404, "IOTDA.014000")
    gateway.connect()
    for bad in ({"parent_device_id": "elsewhere"},):
        world.rest.post(f"/devices/{gateway.device_id}/scan", json=bad).must_be(400, "IOTDA.014029")
    for bad in ({"scan_settings": "text"}, {"scan_settings": {"x": "y" * 5000}}, {"protocol": 7}):
        world.rest.post(f"/devices/{gateway.device_id}/scan", json=bad).must_be(400)


# --- hostile ----------------------------------------------------------------------------------------------------------

def test_nothing_that_a_gateway_says_wrong_ends_its_connection(world, gateway, link):
    for event_type in ("sub_device_sync_request", "sub_device_update_status", "add_sub_device_request",
                       "delete_sub_device_request", "update_sub_device_request", "get_products", "no_such_event"):
        for paras in (None, [], 7, {}, {"devices": None}, {"devices": [None]}, {"devices": [[]]}, {"device_statuses": {}},
                      {"product_ids": [7]}, {"version": {"a": 1}}, {"version": 1 << 70}):
            say(link, event_type, paras)
    say(link, "sub_device_sync_request", {"version": 9_000_000_000_000_000_000})
    answer = ask(link, "delete_sub_device_request", {"devices": ["a\u0000b", "x" * 500]})
    assert len(answer["failed_devices"]) == 2
    assert link.connected


def test_a_device_that_is_no_gateway_of_it_cannot_speak_for_another(world, gateway, link):
    other = world.device()
    say(link, "delete_sub_device_request", {"devices": [other.device_id]}, about=other.device_id)
    ask(link, "get_products", {"product_ids": []}, answer="get_products_response")
    assert not heard(link, "delete_sub_device_response")
    assert world.app.show_device(other.device_id).device_id == other.device_id
