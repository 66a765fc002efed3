"""The test rig: starts the real binary and speaks to it through clients that this project did not write.

Start reading at `platform_process` (the binary), `application` (REST v5 by the vendor's SDK and by hand-signed requests)
and `device` (MQTT by paho). `raw_mqtt` speaks MQTT byte by byte, for what a polite client library cannot send.
"""
