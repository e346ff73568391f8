// SPDX-License-Identifier: GPL-2.0-only
/* vitro: picks the subcommand. */
#include "cmd/cmd.h"
#include "core/util.h"

#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define USAGE_STATUS 2

const char *argp_program_version = "vitro " VITRO_VERSION;

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	char *title;			/* argv[0] of the command */
} commands[] = {
	{ "run", cmd_run, "vitro run" },
	{ "stat", cmd_stat, "vitro stat" },
	{ "check", cmd_check, "vitro check" },
};

static const struct argp_option options[] = { { 0 } };

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	}
	return NULL;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	const struct command **command = state->input;

	switch (key) {
	case ARGP_KEY_ARG:
		*command = find_command(arg);
		if (!*command)
			argp_error(state, "%s: no such command", arg);
		/* What follows is the command's. */
		state->next = state->argc;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "no command given");
		return EINVAL;
	}
	return ARGP_ERR_UNKNOWN;
}

static const struct argp argp = {
	.options = options,
	.parser = parse_option,
	.args_doc = "COMMAND [OPTION...]",
	.doc = "Run virtual machines on /dev/vitro or on /dev/kvm.\v"
	       "Commands:\n"
	       "  run    boot a kernel in a virtual machine\n"
	       "  stat   show why vCPUs leave their guests, live\n"
	       "  check  say whether this host can run vitro\n\n"
	       "'vitro COMMAND --help' tells more about each; so does vitro(1).",
};

int main(int argc, char **argv)
{
	const struct command *command = NULL;
	int at = 1;

	argp_err_exit_status = USAGE_STATUS;
	/* ARGP_IN_ORDER stops at the command, whose options are not ours. */
	if (argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &command))
		return USAGE_STATUS;
	while (strcmp(argv[at], command->name))
		at++;
	argv[at] = command->title;
	return command->run(argc - at, argv + at);
}
