/* A disk that fails on demand, for processes started with this library preloaded.
 *
 * DISK_FAULT_FOLDER names the folder whose files are meant; DISK_FAULT a file whose first letter
 * says what happens to them while it exists:
 *   e   a sync fails with EIO
 *   f   a write fails with ENOSPC
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static char fault(void) {
  const char *path = getenv("DISK_FAULT");
  if (!path) return 0;
  int file = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  char letter = 0;
  if (syscall(SYS_read, file, &letter, 1) != 1) letter = 0;
  syscall(SYS_close, file);
  return letter;
}

static int is_meant(int file, char letter) {
  const char *folder = getenv("DISK_FAULT_FOLDER");
  if (!folder || fault() != letter) return 0;
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return strncmp(path, folder, strlen(folder)) == 0;
}

static int refuse(int error) {
  errno = error;
  return -1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int fsync(int file) {
  return is_meant(file, 'e') ? refuse(EIO) : REAL(fsync)(file);
}

int fdatasync(int file) {
  return is_meant(file, 'e') ? refuse(EIO) : REAL(fdatasync)(file);
}

ssize_t write(int file, const void *data, size_t length) {
  return is_meant(file, 'f') ? refuse(ENOSPC) : syscall(SYS_write, file, data, length);
}

ssize_t writev(int file, const struct iovec *pieces, int count) {
  return is_meant(file, 'f') ? refuse(ENOSPC) : syscall(SYS_writev, file, pieces, count);
}

ssize_t pwrite64(int file, const void *data, size_t length, off64_t position) {
  return is_meant(file, 'f') ? refuse(ENOSPC) : REAL(pwrite64)(file, data, length, position);
}
