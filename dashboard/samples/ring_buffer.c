/*
 * A ring buffer of lines: keeps the last N lines of its input and prints
 * them at the end, as "tail" does.  Lines longer than MAX_LINE are cut.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_LINE	256
#define MIN(a, b)	((a) < (b) ? (a) : (b))

#ifdef DEBUG
#define trace(fmt, ...)	fprintf(stderr, "%s: " fmt "\n", __func__, __VA_ARGS__)
#else
#define trace(fmt, ...)	do { } while (0)
#endif

struct ring {
	char	(*lines)[MAX_LINE];
	size_t	size;		/* how many lines fit */
	size_t	head;		/* where the next one goes */
	size_t	used;		/* how many there are: 0 <= used <= size */
};

static int ring_init(struct ring *ring, size_t size)
{
	if (size == 0 || size > (1u << 20))
		return -EINVAL;

	ring->lines = calloc(size, sizeof(*ring->lines));
	if (!ring->lines)
		return -ENOMEM;

	ring->size = size;
	ring->head = ring->used = 0;
	return 0;
}

static void ring_free(struct ring *ring)
{
	free(ring->lines);
	memset(ring, 0, sizeof(*ring));
}

/* The line is copied: the caller's buffer may be used again at once. */
static void ring_push(struct ring *ring, const char *line)
{
	size_t len = strcspn(line, "\r\n");

	len = MIN(len, (size_t)MAX_LINE - 1);
	memcpy(ring->lines[ring->head], line, len);
	ring->lines[ring->head][len] = '\0';

	ring->head = (ring->head + 1) % ring->size;
	if (ring->used < ring->size)
		ring->used++;
	trace("%zu of %zu lines", ring->used, ring->size);
}

static const char *ring_at(const struct ring *ring, size_t i)
{
	size_t first = (ring->head + ring->size - ring->used) % ring->size;

	if (i >= ring->used)
		return NULL;
	return ring->lines[(first + i) % ring->size];
}

static int usage(const char *name)
{
	fprintf(stderr, "usage: %s [lines]\n\tprints the last lines (default: 10)\n", name);
	return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	char line[MAX_LINE * 4];
	struct ring ring;
	long want = 10;
	size_t i;
	int err;

	if (argc > 2 || (argc == 2 && strcmp(argv[1], "--help") == 0))
		return usage(argv[0]);
	if (argc == 2) {
		char *end;

		want = strtol(argv[1], &end, 10);
		if (*end != '\0' || want <= 0)	/* "12x" isn't a number */
			return usage(argv[0]);
	}

	err = ring_init(&ring, (size_t)want);
	if (err) {
		fprintf(stderr, "%s: %s\n", argv[0], strerror(-err));
		return EXIT_FAILURE;
	}

	while (fgets(line, sizeof(line), stdin))
		ring_push(&ring, line);

	for (i = 0; i < ring.used; i++)
		printf("%4zu\t\"%s\"\n", i + 1, ring_at(&ring, i));

	ring_free(&ring);
	return ferror(stdin) ? EXIT_FAILURE : EXIT_SUCCESS;
}
