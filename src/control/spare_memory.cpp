#include "control/spare_memory.h"

#include <link.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

namespace doline::control {

void give_back_freed_memory() {
#if defined(__GLIBC__) && !defined(DOLINE_SANITIZED)  // the sanitizers' malloc is not glibc's
  ::malloc_trim(0);
#endif
}

void give_back_code() {
  ::dl_iterate_phdr(
      [](dl_phdr_info* object, std::size_t, void*) {
        for (const ElfW(Phdr)* part = object->dlpi_phdr; part != object->dlpi_phdr + object->dlpi_phnum; ++part) {
          // Relocations are written into writable parts only: the others are as they stand in the file.
          if (part->p_type != PT_LOAD || (part->p_flags & PF_W) != 0) continue;
          const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
          const std::uintptr_t begin = (object->dlpi_addr + part->p_vaddr) / page * page;
          const std::uintptr_t end = object->dlpi_addr + part->p_vaddr + part->p_memsz;
          ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
        }
        return 0;
      },
      nullptr);
}

}  // namespace doline::control
