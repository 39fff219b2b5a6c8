"""What a person sees who waits: progress on a terminal, and nothing of it anywhere else."""

import os
import pathlib
import pty
import subprocess
import tempfile
import time
import unittest

import support


class Progress(unittest.TestCase):
    def test_over_a_second_of_work_is_shown_and_goes_away(self):
        with tempfile.TemporaryDirectory() as folder:
            repository = support.Repository(pathlib.Path(folder) / "large")
            after = "0001_initial"
            command = [support.program(), "--no-cache", "--format", "concise"]
            # As many migrations as this machine and this build need a good second for.
            for count in (200, 400, 800, 1600, 3200, 6400):
                for number in range(count // 2 if count > 200 else 2, count):
                    name = f"{number:04}_field"
                    repository.migration(name, support.nullable(f"field_{number}", after))
                    after = name
                start = time.monotonic()
                quiet = subprocess.run(
                    command, cwd=repository.folder, env=support.environment(TERM="xterm"), capture_output=True
                )
                took = time.monotonic() - start
                self.assertEqual(quiet.stderr, b"", "standard error is no terminal")
                if took > 1.6:
                    break
            answer, shown = self.on_a_terminal(command, repository.folder)
            self.assertEqual(answer, quiet.stdout, "the answer is the same")
            if took > 1.6:
                self.assertRegex(shown, rb"\r\x1b\[Kzdm-lint: (reading|replaying and judging) \d+ \w+")
                self.assertTrue(shown.endswith(b"\r\x1b[K"), "the line is gone at the end")
            for more in (["-q"], []):
                environment = {} if more else {"TERM": "dumb"}
                self.assertEqual(self.on_a_terminal(command + more, repository.folder, **environment)[1], b"")

    def on_a_terminal(self, command, folder, **more):
        """Standard output, and what a terminal on standard error was sent."""
        ours, theirs = pty.openpty()
        environment = support.environment(TERM="xterm") | more
        with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=theirs) as process:
            os.close(theirs)
            answer = process.stdout.read()
            process.wait()
        shown = b""
        try:
            while part := os.read(ours, 65536):
                shown += part
        except OSError:
            # Linux says so when the other side is closed.
            pass
        os.close(ours)
        return answer, shown


if __name__ == "__main__":
    unittest.main()
