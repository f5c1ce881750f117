"""TLS in front of a server that speaks none: for the tests of the forwarder's image.

Takes the server's address as HOST:PORT, reads leaf.pem and leaf.key in the current folder, listens on a free port of
the loopback, which it prints, and hands everything on in both directions.
"""

import socket
import ssl
import sys
import threading


def pass_on(source: socket.socket, to: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            to.sendall(data)
        to.shutdown(socket.SHUT_WR)
    except OSError:
        # The other side is gone; so is this one.
        pass


def serve(client: socket.socket, context: ssl.SSLContext, host: str, port: int) -> None:
    try:
        with context.wrap_socket(client, server_side=True) as outer, socket.create_connection((host, port)) as inner:
            back = threading.Thread(target=pass_on, args=(inner, outer), daemon=True)
            back.start()
            pass_on(outer, inner)
            back.join()
    except OSError:
        # A handshake that the client gave up, because it does not know the authority.
        pass


def main() -> None:
    host, port = sys.argv[1].split(":")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain("leaf.pem", "leaf.key")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        while True:
            client, _ = listener.accept()
            threading.Thread(target=serve, args=(client, context, host, int(port)), daemon=True).start()


if __name__ == "__main__":
    main()
