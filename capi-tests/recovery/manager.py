"""Stands in for systemd, as no service manager runs where the tests do."""

import os
import socket
import sys
import threading


class Manager:
    """Keeps file descriptors that it is sent, and passes them to whom it starts as sd_listen_fds(3) says."""

    def __init__(self, path):
        self.path, self.kept, self.said = path, [], []
        # Hears nothing more once it was sent a descriptor with this name, until it is told to go on.
        self.last_name, self.is_deaf, self.goes_on = None, threading.Event(), threading.Event()
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path.replace("@", "\0"))
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        while True:
            text, fds, _, _ = socket.recv_fds(self.socket, 4096, 16)
            lines = dict(line.split("=", 1) for line in text.decode().splitlines())
            if "FDSTORE" in lines:
                self.kept += [(lines["FDNAME"], fd) for fd in fds]
                fds = []
            if "FDSTOREREMOVE" in lines:
                fds += [fd for name, fd in self.kept if name == lines["FDNAME"]]
                self.kept = [(name, fd) for name, fd in self.kept if name != lines["FDNAME"]]
            self.said += lines
            if "FDSTORE" in lines and lines["FDNAME"] == self.last_name:
                self.is_deaf.set()
                self.goes_on.wait(30)
            for fd in fds:
                os.close(fd)
            if "END" in lines:
                break

    def names(self):
        return sorted(name for name, _ in self.kept)

    def env(self):
        return {"NOTIFY_SOCKET": self.path}

    def passing(self, argv):
        """The command that starts a program with what is kept."""
        launcher = (
            "import os, sys\n"
            "fds = [int(fd) for fd in sys.argv[1].split(',')]\n"
            "high = [os.dup2(fd, 200 + n) for n, fd in enumerate(fds)]\n"
            "for n, fd in enumerate(high): os.dup2(fd, 3 + n); os.set_inheritable(3 + n, True); os.close(fd)\n"
            "os.environ |= {'LISTEN_PID': str(os.getpid()), 'LISTEN_FDS': str(len(fds)), 'LISTEN_FDNAMES': sys.argv[2]}\n"
            "os.execv(sys.argv[3], sys.argv[3:])\n"
        )
        fds = [fd for _, fd in self.kept]
        return [sys.executable, "-c", launcher, ",".join(map(str, fds)), ":".join(name for name, _ in self.kept), *argv], fds

    def close(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
            end.sendto(b"END=1", self.path.replace("@", "\0"))
        self.thread.join(5)
        self.socket.close()
        for _, fd in self.kept:
            os.close(fd)
