"""Messages of Arrow Flight and Flight SQL, in a descriptor pool of their own.

Another package of the same process may hold the same names in protobuf's default pool; there two of them collide.
"""
