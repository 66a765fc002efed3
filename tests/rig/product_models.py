"""The product models that the tests register."""


def a_property(name, data_type, method="RWE", **limits):
    return {"property_name": name, "data_type": data_type, "method": method, "required": False, **limits}


THERMOMETER = [
    {
        "service_id": "Temperature",
        "service_type": "Temperature",
        "properties": [
            a_property("value", "int", min="-50", max="100"),
            a_property("value2", "int", min="-50", max="100"),
            a_property("ratio", "decimal", min="0", max="1"),
            a_property("count", "long", min="0", max="9007199254740991"),
            a_property("note", "string", max_length=16),
            a_property("mode", "enum", enum_list=["heat", "cool"]),
            a_property("on", "boolean"),
            a_property("since", "DateTime"),
            a_property("detail", "jsonObject"),
            a_property("labels", "string list"),
            a_property("serial", "string", method="R", max_length=64),
        ],
        "commands": [
            {
                "command_name": "ON_OFF",
                "paras": [{"para_name": "value", "data_type": "enum", "required": True, "enum_list": ["ON", "OFF"]}],
                "responses": [{
                    "response_name": "COMMAND_RESPONSE",
                    "paras": [{"para_name": "result", "data_type": "string", "required": True, "max_length": 32}],
                }],
            },
        ],
        "events": [],
    },
    {
        "service_id": "Battery",
        "service_type": "Battery",
        "properties": [
            a_property("level", "int", method="RW", min="0", max="100"),
            a_property("seq", "long", method="RW", min="0", max="9007199254740991"),
        ],
        "commands": [],
        "events": [],
    },
]
