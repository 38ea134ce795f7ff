/*
 * Option parsing, case by case, as text on stdout: run once on each library, the outputs must be the same. Log lines
 * are counted only, their wording is each library's own.
 */
#include "cases.h"

#include <stdarg.h>

static int log_lines;

static void count_line(enum fuse_log_level level, const char *fmt, va_list ap)
{
	(void) fmt;
	(void) ap;
	if (level <= FUSE_LOG_ERR)
		log_lines++;
}

static int case_number;

static void print_text(const char *s)
{
	for (; *s; s++)
		if (*s < ' ' || *s > '~')
			printf("<%02x>", (unsigned char) *s);
		else
			putchar(*s);
}

void begin(const char *area, const char *name, const char *input)
{
	log_lines = 0;
	printf("%04d %s/%s [", case_number++, area, name);
	print_text(input);
	printf("]:");
}

void end(void)
{
	printf(" line=%s\n", log_lines ? "yes" : "no");
}

void print_string(const char *label, const char *s)
{
	printf(" %s=", label);
	print_text(s ? s : "NULL");
}

void print_args(const struct fuse_args *args)
{
	printf(" argc=%d allocated=%d", args->argc, args->allocated);
	for (int i = 0; i < args->argc; i++)
		print_string("arg", args->argv[i]);
	if (args->argv)
		printf(" end=%s", args->argv[args->argc] ? "?" : "NULL");
}

void split(struct list *list, const char *text)
{
	int argc = 0;

	memset(list, 0, sizeof(*list));
	snprintf(list->text, sizeof(list->text), "%s", text);
	char *rest = list->text;
	for (char *arg; (arg = strsep(&rest, "|"));)
		list->argv[argc++] = arg;
	list->args = (struct fuse_args) FUSE_ARGS_INIT(argc, list->argv);
}

int main(int argc, char *argv[])
{
	FILE *file;

	if (argc == 2 && !strcmp(argv[1], "closed-streams")) {
		daemonize_closed_case();
		return 0;
	}
	/* An empty directory, the same one for both runs: its path is in the output. */
	if (argc != 2 || chdir(argv[1]) || symlink("/", "link") || !(file = fopen("file", "w")) || fclose(file)) {
		fprintf(stderr, "usage: %s empty-directory | closed-streams\n", argv[0]);
		return 2;
	}

	fuse_set_log_func(count_line);
	printf("version %d %s\n", fuse_version(), fuse_pkgversion());
	opt_cases();
	cmdline_cases();
	conn_cases();
	loop_config_cases();
	daemonize_cases();
	return unlink("link") || unlink("file") ? 2 : 0;
}
