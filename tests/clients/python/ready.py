"""Returns when every service at these addresses says that it is serving."""

import sys

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

SECONDS = 30

for address in sys.argv[1:]:
    with grpc.insecure_channel(address, [("grpc.initial_reconnect_backoff_ms", 100)]) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for answer in health.Watch(health_pb2.HealthCheckRequest(), wait_for_ready=True, timeout=SECONDS):
            if answer.status == health_pb2.HealthCheckResponse.SERVING:
                break
