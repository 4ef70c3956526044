"""What a Python program needs beside the generated stubs: a channel, who is calling, and what an error says."""

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

DETAILS = (error_details_pb2.ErrorInfo, error_details_pb2.BadRequest, error_details_pb2.PreconditionFailure)


def connect(address):
    """A channel to a service, shared by all its stubs."""
    return grpc.insecure_channel(address)


def caller(tenant, principal, role="admin"):
    """The metadata that every call carries: for which tenant, who calls, and in which role."""
    return (("x-tenant-id", tenant), ("x-principal", principal), ("x-roles", role))


def details(error):
    """What an error says beside its code and message, by type: `details(error)["ErrorInfo"].reason`."""
    found = {}
    for detail in rpc_status.from_call(error).details:
        for kind in DETAILS:
            if detail.Is(kind.DESCRIPTOR):
                found[kind.DESCRIPTOR.name] = kind.FromString(detail.value)
    return found
