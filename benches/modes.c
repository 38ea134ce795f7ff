/* Where a process spends its time: samples of one processor by a timer, in the mode that each found it in, as the kernel's own
 * tick does it, but many more. usage: modes PROCESSOR PID SECONDS RATE     RATE samples a second
 * prints: NAME VALUE a line; how often the process was found in user and in kernel mode, and how many samples were lost. */
#define _GNU_SOURCE
#include <linux/perf_event.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What comes of one sample with PERF_SAMPLE_TID. */
struct sample { struct perf_event_header header; uint32_t pid, tid; };

int main(int argc, char **argv)
{
	if (argc < 5) return 2;
	uint32_t pid = atoi(argv[2]);
	double seconds = atof(argv[3]);
	struct perf_event_attr attr = { .type = PERF_TYPE_SOFTWARE, .size = sizeof attr, .config = PERF_COUNT_SW_CPU_CLOCK,
		.sample_type = PERF_SAMPLE_TID, .sample_period = 1000000000 / atoi(argv[4]), .disabled = 1 };
	int fd = syscall(__NR_perf_event_open, &attr, -1, atoi(argv[1]), -1, PERF_FLAG_FD_CLOEXEC);
	/* Room for all: nobody reads meanwhile. */
	size_t room = 1 << 16, page = sysconf(_SC_PAGESIZE);
	while (room < seconds * atoi(argv[4]) * sizeof(struct sample) * 1.5) room *= 2;
	char *ring = fd < 0 ? MAP_FAILED : mmap(NULL, page + room, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (ring == MAP_FAILED) { perror("perf_event_open"); return 1; }
	ioctl(fd, PERF_EVENT_IOC_ENABLE, 0);
	usleep(seconds * 1e6);
	ioctl(fd, PERF_EVENT_IOC_DISABLE, 0);
	uint64_t end = ((struct perf_event_mmap_page *)ring)->data_head;
	unsigned long user = 0, kernel = 0, lost = 0;
	for (uint64_t at = 0; at < end;) {
		struct sample *sample = (void *)(ring + page + at);
		if (sample->header.type != PERF_RECORD_SAMPLE) lost++;
		else if (sample->pid == pid) *((sample->header.misc & PERF_RECORD_MISC_CPUMODE_MASK) == PERF_RECORD_MISC_USER ? &user : &kernel) += 1;
		at += sample->header.size;
	}
	printf("user %lu\nkernel %lu\nlost %lu\n", user, kernel, lost);
	return 0;
}
