// SPDX-License-Identifier: GPL-2.0-only
/* The terminal in raw mode and out of it, and the loop that serves it. */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "../../selftests/lib/ktap.h"
#include "cmd/run-loop.h"
#include "core/ports.h"
#include "core/terminal.h"
#include "fake-vm.h"

static int master, slave;
static struct termios before;

static void open_pty(void)
{
	master = posix_openpt(O_RDWR | O_NOCTTY);
	REQUIRE(master >= 0 && !grantpt(master) && !unlockpt(master), "no pseudo-terminal");
	slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	REQUIRE(slave >= 0, "cannot open %s", ptsname(master));
	REQUIRE_OK(tcgetattr(slave, &before));
}

static bool is_raw(void)
{
	struct termios now;

	REQUIRE_OK(tcgetattr(slave, &now));
	return !(now.c_lflag & (ICANON | ECHO | ISIG)) && (now.c_oflag & OPOST);
}

static void check_restored(void)
{
	struct termios now;

	REQUIRE_OK(tcgetattr(slave, &now));
	CHECK_EQ(now.c_lflag, before.c_lflag);
	CHECK_EQ(now.c_iflag, before.c_iflag);
	CHECK_EQ(now.c_oflag, before.c_oflag);
	CHECK_EQ(now.c_cflag, before.c_cflag);
}

/* Runs @fn in a process whose standard input is the terminal. */
static int in_process(void (*fn)(void))
{
	struct rlimit no_core = { 0, 0 };
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		setrlimit(RLIMIT_CORE, &no_core);
		dup2(slave, STDIN_FILENO);
		terminal_raw();
		if (!is_raw())
			_exit(99);
		fn();
		_exit(98);
	}
	REQUIRE(pid > 0 && waitpid(pid, &status, 0) == pid, "cannot run a process");
	return status;
}

static void restores(void)
{
	terminal_restore();
	_exit(3);
}

static void exits(void)
{
	exit(4);
}

static void crashes(void)
{
	raise(SIGSEGV);
}

static void aborts(void)
{
	abort();
}

TEST(restored_on_request)
{
	open_pty();
	CHECK_EQ(in_process(restores), 3 << 8);
	check_restored();
}

TEST(restored_at_exit)
{
	open_pty();
	CHECK_EQ(in_process(exits), 4 << 8);
	check_restored();
}

TEST(restored_by_a_crash)
{
	open_pty();
	CHECK_EQ(in_process(crashes), SIGSEGV);
	check_restored();
	CHECK_EQ(in_process(aborts), SIGABRT);
	check_restored();
}

TEST(no_terminal)
{
	int fd = open("/dev/null", O_RDONLY);

	dup2(fd, STDIN_FILENO);
	terminal_raw();
	terminal_restore();
}

static struct vm vm;
static struct board board;
static int output[2];

static void ignore_irq(struct vm *v, unsigned int gsi, bool level)
{
}

/* A board whose guest listens to its serial port. */
static void make_board(int input)
{
	REQUIRE_OK(fake_vm_init(&vm, 4096));
	REQUIRE_OK(pipe2(output, O_NONBLOCK));
	board.vm = &vm;
	REQUIRE_OK(uart_init(&board.uart, &vm, output[1]));
	board.uart.set_irq = ignore_irq;
	bus_write(&vm.pio, PORT_COM1 + 4, 1, 0xb);
	dup2(input, STDIN_FILENO);
	run_loop_block_signals();
}

static void check_received(const char *text)
{
	for (; *text; text++)
		CHECK_EQ(bus_read(&vm.pio, PORT_COM1, 1), *text);
	CHECK_EQ(bus_read(&vm.pio, PORT_COM1 + 5, 1) & 1, 0);
}

static void type(int fd, const char *text)
{
	REQUIRE(write(fd, text, strlen(text)) == (ssize_t)strlen(text), "cannot type");
}

TEST(keys_reach_the_guest)
{
	open_pty();
	make_board(slave);
	terminal_raw();
	type(master, "ls\r\003\001\001q\001x");
	CHECK_RET(run_loop(&board, 20), 0);
	CHECK_EQ(vm.end, VM_USER_QUIT);
	check_received("ls\r\003\001q");
	terminal_restore();
	check_restored();
}

/* A guest that takes no input must not lock its user in. */
TEST(way_out_of_a_deaf_guest)
{
	char text[512];

	open_pty();
	make_board(slave);
	terminal_raw();
	board.uart.mcr = 0;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	if (fork() == 0) {
		for (int i = 0; i < 20; i++)
			type(master, text);
		type(master, "\001x");
		_exit(0);
	}
	CHECK_RET(run_loop(&board, 20), 0);
	CHECK_EQ(vm.end, VM_USER_QUIT);
	terminal_restore();
}

static long cpu_us(void)
{
	struct rusage use;

	getrusage(RUSAGE_SELF, &use);
	return (use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1000000 +
	       use.ru_utime.tv_usec + use.ru_stime.tv_usec;
}

/* The loop until the time limit of a second, which it must sleep through. */
static void check_idle(void)
{
	long start = cpu_us(), used;

	CHECK_RET(run_loop(&board, 1), 0);
	CHECK_EQ(vm.end, VM_TIMEOUT);
	used = cpu_us() - start;
	CHECK(used < 200000, "it spins: %ld us of 1 s", used);
}

TEST(end_of_input)
{
	make_board(open("/dev/null", O_RDONLY));
	check_idle();
}

TEST(hung_up_input)
{
	int input[2];

	REQUIRE_OK(pipe(input));
	close(input[1]);
	make_board(input[0]);
	check_idle();
}

static char letter(size_t i)
{
	return 'a' + i % 26;
}

static void check_sequence(size_t from, size_t count)
{
	for (size_t i = from; i < from + count; i++) {
		char c = bus_read(&vm.pio, PORT_COM1, 1);

		REQUIRE(c == letter(i), "character %zu: expected %c, got %c", i, letter(i), c);
	}
}

TEST(piped_input_waits)
{
	static char text[3 * UART_BACKLOG];
	int input[2];

	REQUIRE_OK(pipe(input));
	for (size_t i = 0; i < sizeof(text) - 1; i++)
		text[i] = letter(i);
	type(input[1], text);
	close(input[1]);
	make_board(input[0]);
	board.uart.mcr = 0;
	check_idle();
	CHECK_EQ(uart_room(&board.uart), 0);
	/* The guest listens now, and gets all that was sent, in its order. */
	vm.end = VM_RUNNING;
	bus_write(&vm.pio, PORT_COM1 + 4, 1, 0xb);
	check_sequence(0, UART_BACKLOG);
	CHECK_RET(run_loop(&board, 1), 0);
	check_sequence(UART_BACKLOG, UART_BACKLOG);
}

static void check_signal(int sig)
{
	make_board(open("/dev/null", O_RDONLY));
	kill(getpid(), sig);
	CHECK_RET(run_loop(&board, 20), 0);
	CHECK_EQ(vm.end, VM_SIGNAL + sig);
}

TEST(interrupted)
{
	check_signal(SIGINT);
}

TEST(terminated)
{
	check_signal(SIGTERM);
}

TEST(hung_up)
{
	check_signal(SIGHUP);
}

TEST(guest_ends)
{
	make_board(open("/dev/null", O_RDONLY));
	vm_stop(&vm, VM_POWER_OFF);
	CHECK_RET(run_loop(&board, 20), 0);
	CHECK_EQ(vm.end, VM_POWER_OFF);
}
