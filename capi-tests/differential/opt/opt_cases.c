/* fuse_opt.h. */
#include "cases.h"

#include <stddef.h>

struct data {
	int flag, other;
	char *text, *second;
	int i, d, wide;
	unsigned u, o, x;
	long l;
	unsigned long lu;
	long long ll;
	unsigned long long llu;
	short h;
	unsigned char hh;
	float f;
	double g;
	char set[64], word[64];
	char c;
	size_t z;
};

#define AT(templ, member, value) { templ, offsetof(struct data, member), value }

static const struct fuse_opt values[] = {
	AT("-x", flag, 7),
	AT("flag", flag, 8),
	AT("both", flag, 9),
	AT("both", other, 10),
	AT("text=%s", text, 0),
	AT("text2=%s", second, 0),
	AT("i=%i", i, 0),
	AT("d=%d", d, 0),
	AT("wide=%3d", wide, 0),
	AT("u=%u", u, 0),
	AT("o=%o", o, 0),
	AT("x=%x", x, 0),
	AT("X=%X", x, 0),
	AT("l=%ld", l, 0),
	AT("lu=%lu", lu, 0),
	AT("lx=%lx", lu, 0),
	AT("ll=%lld", ll, 0),
	AT("llu=%llu", llu, 0),
	AT("h=%hd", h, 0),
	AT("hh=%hhu", hh, 0),
	AT("f=%f", f, 0),
	AT("g=%lf", g, 0),
	AT("set=%63[a-c]", set, 0),
	AT("word=%63s", word, 0),
	AT("c=%c", c, 0),
	AT("z=%zu", z, 0),
	AT("unit=%uK", u, 0),
	AT("seen=", other, 11),
	AT("seen=%d", d, 0),
	AT("fixed=one", flag, 1),
	AT("fixed=two", flag, 2),
	AT("-p %s", text, 0),
	AT("--port %u", u, 0),
	AT("--port=%u", u, 0),
	AT("-q ", flag, 12),
	AT("dup %s", text, 0),
	AT("dup %s", second, 0),
	AT("a=b=%s", text, 0),
	AT("=%s", other, 13),
	AT("two words", other, 14),
	FUSE_OPT_END
};

static const struct fuse_opt keys[] = {
	FUSE_OPT_KEY("-x", 1),
	FUSE_OPT_KEY("flag", 2),
	FUSE_OPT_KEY("text=", 3),
	FUSE_OPT_KEY("text=%s", 4),
	FUSE_OPT_KEY("-p ", 5),
	FUSE_OPT_KEY("u=%u", 6),
	FUSE_OPT_KEY("both", FUSE_OPT_KEY_KEEP),
	FUSE_OPT_KEY("both", FUSE_OPT_KEY_DISCARD),
	FUSE_OPT_KEY("d=", FUSE_OPT_KEY_DISCARD),
	FUSE_OPT_KEY("h=", FUSE_OPT_KEY_KEEP),
	FUSE_OPT_KEY("-q %s", FUSE_OPT_KEY_KEEP),
	FUSE_OPT_KEY("seen=", FUSE_OPT_KEY_OPT),
	FUSE_OPT_KEY("i=", FUSE_OPT_KEY_NONOPT),
	FUSE_OPT_KEY("--port ", 7),
	FUSE_OPT_KEY("dup ", 8),
	FUSE_OPT_KEY("dup ", 9),
	FUSE_OPT_END
};

static const struct fuse_opt mixed[] = {
	AT("-x", flag, 1),
	FUSE_OPT_KEY("-x", FUSE_OPT_KEY_KEEP),
	FUSE_OPT_KEY("-x", 1),
	AT("text=%s", text, 0),
	FUSE_OPT_KEY("text=", FUSE_OPT_KEY_KEEP),
	FUSE_OPT_KEY("u=", 2),
	AT("u=%u", u, 0),
	FUSE_OPT_KEY("-p %s", 3),
	AT("-p %s", text, 0),
	FUSE_OPT_END
};

static const struct fuse_opt none[] = { FUSE_OPT_END };

static const struct {
	const char *name;
	const struct fuse_opt *opts;
} tables[] = {
	{ "values", values }, { "keys", keys }, { "mixed", mixed }, { "none", none }, { "null", NULL },
};

static const char *const lists[] = {
	"p", "p|", "p|-", "p|-x", "p|-xx", "p|-y", "p|-x|-x", "p|mnt", "p|mnt|other", "p|-x|mnt|-y", "", "|-x",
	"p|-o|flag", "p|-oflag", "p|-o", "p|-oflag|-o", "p|-o|", "p|-o|,", "p|-o|,,", "p|-o|flag,", "p|-o|,flag",
	"p|-o|,keep", "p|-o|keep,,keep2", "p|-o|keep,", "p|-oa,b|-oc", "p|-o|both", "p|-oboth,both", "p|-oflag,both,zzz",
	"p|--", "p|--|--", "p|--|-x", "p|--|mnt", "p|-x|--|-x|-oflag", "p|-okeep|--", "p|-okeep|--|mnt", "p|mnt|--",
	"p|--|drop", "p|-odrop|--", "p|-okeep|--|drop|drop", "p|-okeep|--|a|b", "p|---", "p|--x", "p|-o|--", "p|-o--",
	"p|-o|a\\,b", "p|-o|a\\\\b", "p|-o|a\\", "p|-o|\\101\\102", "p|-o|\\1", "p|-o|\\12", "p|-o|\\400", "p|-o|\\377",
	"p|-o|\\054", "p|-o|a\\000b,c", "p|-o|\\08", "p|-o|\\,", "p|-o|\\,,\\,", "p|-o|\\134,\\\\\\,", "p|-o|text=a\\,b",
	"p|-o|text=\\164\\145,u=1", "p|-o|\\,keep\\\\,x", "p|-o|a\\x,b", "p|-o|text=a\\054b\\134c",
	"p|-otext=one", "p|-otext=one,text=two", "p|-otext=", "p|-otext", "p|-otext=a=b", "p|text=one", "p|-text=one",
	"p|-otext=a,text2=b", "p|-o|text= spaced out ",
	"p|-oi=10", "p|-oi=0x10", "p|-oi=010", "p|-oi=-5", "p|-oi=08", "p|-oi=0xg", "p|-oi=0x", "p|-oi=", "p|-oi=x",
	"p|-oi=99999999999", "p|-od=12", "p|-od= 12", "p|-od=+12", "p|-od=-12", "p|-od=12x", "p|-od=x12", "p|-od=",
	"p|-od=0x12", "p|-od=2147483648", "p|-od=-2147483649", "p|-od=99999999999999999999", "p|-od= ", "p|-od=-",
	"p|-owide=12345", "p|-owide=1", "p|-owide=-12345", "p|-ou=42", "p|-ou=-1", "p|-ou=4294967295", "p|-ou=4294967296",
	"p|-ou=18446744073709551616", "p|-ou=1.5", "p|-ou=", "p|-ou=\\t\\0115", "p|-ou=- 5", "p|-ou=--5", "p|-ou=+-5",
	"p|-oo=17", "p|-oo=8", "p|-oo=0777", "p|-ox=ff", "p|-ox=0xFF", "p|-ox=0x", "p|-ox=g", "p|-oX=dead", "p|-ox=-1",
	"p|-ol=9223372036854775807", "p|-ol=9223372036854775808", "p|-olu=18446744073709551615", "p|-olu=-1",
	"p|-olx=ffffffffffffffffff", "p|-oll=-9223372036854775808", "p|-ollu=18446744073709551616", "p|-oh=65537",
	"p|-oh=-32769", "p|-ohh=256", "p|-ohh=255", "p|-ohh=-1", "p|-ohh=x", "p|-of=1.5", "p|-of=1e3", "p|-of=x",
	"p|-og=0x1p4", "p|-og=inf", "p|-og=nan", "p|-og=-.5", "p|-og=.", "p|-oset=abcabcd", "p|-oset=d", "p|-oword=a b",
	"p|-oword= lead", "p|-oword=", "p|-oc=xy", "p|-oc=", "p|-oz=12", "p|-ounit=12K", "p|-ounit=12M", "p|-ounit=K",
	"p|-oseen=5", "p|-oseen=", "p|-oseen=x", "p|-oseen", "p|-ofixed=one", "p|-ofixed=two", "p|-ofixed=three",
	"p|-ofixed=", "p|-p|val", "p|-pval", "p|-p", "p|-p|", "p|-p|-x", "p|-p|--|-x", "p|-o|-p|val", "p|-o|-pval,flag",
	"p|-o|-p,flag|val|-x", "p|-o|-p", "p|--port|80", "p|--port=80", "p|--port80", "p|--port|x", "p|--port=", "p|--port",
	"p|-q|v", "p|-qv", "p|-q", "p|-o|dup|a|b|c", "p|-odup|a|b", "p|-o|dupx", "p|-odup|a", "p|-oa=b=c", "p|-oa=c",
	"p|-o|=", "p|-o|=x", "p|-o|two words", "p|-o|two", "p|-odrop,keep,odd", "p|drop|keep|odd", "p|fail", "p|-ofail",
	"p|-x|fail|-y", "p|-okeep,fail", "p|add", "p|-oadd,keep", "p|insert", "p|-oinsert,keep|mnt", "p|-x|add|--|add",
	"p|-ohelp|-h|--help|--help=me", "p|-oflag=1", "p|-oflagx", "p|-oro,allow_other,fsname=x y", "p|-keep|-drop",
};

static int callback_count;

static int callback(void *data, const char *arg, int key, struct fuse_args *out)
{
	(void) data;
	printf(" call(%d", key);
	print_string("arg", arg);
	printf(" out=%d)", out->argc);
	if (++callback_count > 100)
		return -1;
	while (*arg == '-')
		arg++;
	if (!strncmp(arg, "drop", 4))
		return 0;
	if (!strncmp(arg, "fail", 4))
		return -1;
	if (!strncmp(arg, "odd", 3))
		return -2;
	if (!strncmp(arg, "add", 3))
		return fuse_opt_add_arg(out, "added");
	if (!strncmp(arg, "insert", 6))
		return fuse_opt_insert_arg(out, 0, "inserted");
	return 1;
}

static void print_data(const struct data *d)
{
	printf(" flag=%d other=%d", d->flag, d->other);
	print_string("text", d->text);
	print_string("second", d->second);
	printf(" i=%d d=%d wide=%d u=%u o=%u x=%u l=%ld lu=%lu ll=%lld llu=%llu h=%d hh=%u f=%g g=%g c=%d z=%zu", d->i,
	       d->d, d->wide, d->u, d->o, d->x, d->l, d->lu, d->ll, d->llu, d->h, d->hh, d->f, d->g, d->c, d->z);
	print_string("set", d->set);
	print_string("word", d->word);
}

static void parse_case(const char *name, const char *text, const struct fuse_opt *opts, fuse_opt_proc_t proc)
{
	struct data data = { .flag = -1, .other = -1 };
	struct list list;

	split(&list, text);
	begin(proc ? "parse" : "parse-noproc", name, text);
	callback_count = 0;
	int res = fuse_opt_parse(&list.args, &data, opts, proc);
	printf(" res=%d", res);
	print_args(&list.args);
	if (opts && opts != none)
		print_data(&data);
	end();
	/* What comes out goes in again: allocated lists are taken as well. */
	if (res == 0 && proc) {
		begin("again", name, text);
		callback_count = 0;
		printf(" res=%d", fuse_opt_parse(&list.args, &data, opts, NULL));
		print_args(&list.args);
		end();
	}
	fuse_opt_free_args(&list.args);
	printf("     freed argc=%d argv=%s allocated=%d\n", list.args.argc, list.args.argv ? "?" : "NULL",
	       list.args.allocated);
	free(data.text);
	free(data.second);
}

static void parse_cases(void)
{
	for (size_t t = 0; t < COUNT(tables); t++)
		for (size_t l = 0; l < COUNT(lists); l++) {
			parse_case(tables[t].name, lists[l], tables[t].opts, callback);
			parse_case(tables[t].name, lists[l], tables[t].opts, NULL);
		}

	struct fuse_args empty = FUSE_ARGS_INIT(0, NULL);
	begin("parse", "no-args", "");
	printf(" res=%d,%d", fuse_opt_parse(NULL, NULL, keys, callback), fuse_opt_parse(&empty, NULL, keys, callback));
	print_args(&empty);
	end();
	struct list list;
	split(&list, "p|-x|u=5|-ou=7,zzz");
	begin("parse", "null-data", list.text);
	printf(" res=%d", fuse_opt_parse(&list.args, NULL, keys, callback));
	print_args(&list.args);
	end();
	fuse_opt_free_args(&list.args);
}

/* Lists put together at random, the same ones in every run. */
static void random_cases(void)
{
	static const char *const pieces[] = {
		"|", "|", "|", "|-o", "|-o|", ",", ",", "\\", "\\,", "\\\\", "\\054", "\\134", "\\0", "--", "|--|",
		"-x", "-p", "-q", "--port", "dup", "flag", "both", "text=", "u=", "d=", "hh=", "i=", "h=", "c=", "set=",
		"seen=", "drop", "keep", "add", "=", " ", "%s", "0", "7", "-1", "0x1f", "99999999999", "a", "b", "-",
	};
	unsigned long long state = 0x9e3779b97f4a7c15;

	for (int n = 0; n < 3000; n++) {
		char text[256] = "p|";
		for (int left = 12; left > 0; left--) {
			state = state * 6364136223846793005ull + 1442695040888963407ull;
			strcat(text, pieces[(state >> 33) % COUNT(pieces)]);
		}
		parse_case(tables[n % 4].name, text, tables[n % 4].opts, n % 3 ? callback : NULL);
	}
}

static void match_cases(void)
{
	static const char *const options[] = {
		"-x", "-xx", "flag", "flags", "text=", "text=a", "text", "i=5", "i", "-p", "-pval", "--port", "--port=8", "-q",
		"dup", "dupl", "a=b=", "a=b=c", "a=b", "=", "", "two words", "two", "fixed=one", "fixed=", "h=", "both", "%s",
		"x=%s", "unit=3K", "seen=", "-o", "--",
	};
	for (size_t t = 0; t < COUNT(tables); t++)
		for (size_t o = 0; o < COUNT(options); o++) {
			begin("match", tables[t].name, options[o]);
			printf(" %d", fuse_opt_match(tables[t].opts, options[o]));
			end();
		}
}

/* --- building lists and groups --- */

static void build_cases(void)
{
	static const char *const options[] = { "", "a", "a,b", "c\\d", "\\", ",", "e=f", "", "end,", "\xff" };
	char *plain = NULL, *escaped = NULL;

	for (size_t i = 0; i < COUNT(options); i++) {
		begin("build", "add_opt", options[i]);
		printf(" %d,%d", fuse_opt_add_opt(&plain, options[i]), fuse_opt_add_opt_escaped(&escaped, options[i]));
		print_string("plain", plain);
		print_string("escaped", escaped);
		end();
	}
	free(plain);
	free(escaped);

	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	static const int positions[] = { 0, 0, 1, 3, 2, 0, 6 };
	for (size_t i = 0; i < COUNT(positions); i++) {
		char name[16];
		snprintf(name, sizeof(name), "i%zu", i);
		begin("build", "insert_arg", name);
		printf(" %d", fuse_opt_insert_arg(&args, positions[i], name));
		print_args(&args);
		end();
	}
	begin("build", "add_arg", "");
	printf(" %d %d", fuse_opt_add_arg(&args, "last"), fuse_opt_add_arg(&args, ""));
	print_args(&args);
	end();
	fuse_opt_free_args(&args);
	fuse_opt_free_args(&args);
	fuse_opt_free_args(NULL);
	printf("     freed argc=%d argv=%s\n", args.argc, args.argv ? "?" : "NULL");
}

void opt_cases(void)
{
	match_cases();
	parse_cases();
	random_cases();
	build_cases();
}
