/* SPDX-License-Identifier: GPL-2.0-only */
/* The subcommands. */
#ifndef VITRO_CMD_H
#define VITRO_CMD_H

/**
 * cmd_run() - vitro run
 * cmd_stat() - vitro stat
 * cmd_check() - vitro check
 * @argc: number of arguments, the subcommand's name included
 * @argv: the arguments; [0] is what messages call the program
 *
 * Return: the exit status.
 */
int cmd_run(int argc, char **argv);
int cmd_stat(int argc, char **argv);
int cmd_check(int argc, char **argv);

#endif
