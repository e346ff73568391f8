// SPDX-License-Identifier: GPL-2.0-only
/* vsock CID PORT: send standard input there, write what comes back to standard output. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/vm_sockets.h>

static void copy(int from, int to)
{
	char data[4096];
	ssize_t size;

	while ((size = read(from, data, sizeof(data))) > 0) {
		if (write(to, data, size) != size) {
			perror("vsock: write");
			exit(1);
		}
	}
	if (size < 0) {
		perror("vsock: read");
		exit(1);
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_vm address = { .svm_family = AF_VSOCK };
	int fd;

	if (argc != 3) {
		fprintf(stderr, "usage: vsock CID PORT\n");
		return 2;
	}
	address.svm_cid = strtoul(argv[1], NULL, 10);
	address.svm_port = strtoul(argv[2], NULL, 10);
	fd = socket(AF_VSOCK, SOCK_STREAM, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address))) {
		perror("vsock: connect");
		return 1;
	}
	copy(STDIN_FILENO, fd);
	shutdown(fd, SHUT_WR);
	copy(fd, STDOUT_FILENO);
	return 0;
}
