// SPDX-License-Identifier: GPL-2.0-only
/* The example program of userspace-tool/, built in here and run. */
#if __has_include("../userspace-tool/example/hello.c")
#define main hello_main
#include "../userspace-tool/example/hello.c"
#undef main
#define HELLO_MAIN	hello_main
#else
#define HELLO_MAIN	((int (*)(int, char **))0)
#endif

#include <sys/wait.h>
#include <unistd.h>

#include "vm.h"

TEST(example_hello)
{
	char *args[] = { "hello", (char *)test_device(), NULL };
	int (*hello)(int argc, char **argv) = HELLO_MAIN;
	int out[2], status;
	char text[500];
	ssize_t n = 0, got;
	pid_t pid;

	if (!hello)
		test_skip("built without userspace-tool/example/hello.c");
	REQUIRE(!pipe(out), "pipe: %s", strerror(errno));
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		dup2(out[1], 1);
		exit(hello(2, args));
	}
	close(out[1]);
	while ((got = read(out[0], text + n, sizeof(text) - 1 - n)) > 0)
		n += got;
	text[n] = 0;
	REQUIRE(waitpid(pid, &status, 0) == pid, "waitpid");
	CHECK(status == 0, "expected exit status 0, got %#x", status);
	CHECK(strcasestr(text, "hello"), "expected a hello, got \"%s\"", text);
}
