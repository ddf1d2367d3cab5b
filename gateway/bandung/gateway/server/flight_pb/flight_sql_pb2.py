"""Flight SQL's messages; typed by the generated stub beside this file."""

from bandung.gateway.server.flight_pb.pool import file, names

DESCRIPTOR = file("arrow/flight/protocol/flight_sql.proto")
globals().update(names(DESCRIPTOR.name))
