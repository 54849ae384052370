#include "emulator/fiber.h"

#include <cstdint>

#if !defined(__x86_64__) || !defined(__ELF__)
#error "the emulator of CUDA switches stacks with x86-64 instructions, on ELF systems"
#endif

// fastconv_switch(save, to): pushes the registers that a function must keep, changes the stack, pops them there. Some 4 ns,
// where swapcontext makes two system calls. It leaves by a jump: processors predict a `ret` to go where the last call came
// from, which is never so here and cost 10 ns more.
extern "C" void fastconv_switch(void** save, void* to);
asm(R"(
.text
.type fastconv_switch, @function
fastconv_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  popq %rcx
  jmp *%rcx
.size fastconv_switch, .-fastconv_switch
.type fastconv_begin, @function
fastconv_begin:
  movq %r13, %rdi
  call *%r12
  ud2
.size fastconv_begin, .-fastconv_begin
)");
extern "C" void fastconv_begin();

namespace fastconv::emulator {

Fiber::Fiber() : stack_(new char[kStackBytes]) {}

void Fiber::start(void (*entry)(void*), void* argument) {
  const uintptr_t top = reinterpret_cast<uintptr_t>(stack_.get() + kStackBytes) & ~uintptr_t(15);
  void** frame = reinterpret_cast<void**>(top) - 9;  // r15 r14 r13 r12 rbx rbp, where to return; then a multiple of 16
  frame[0] = frame[1] = nullptr;
  frame[2] = argument;
  frame[3] = reinterpret_cast<void*>(entry);
  frame[4] = frame[5] = nullptr;
  frame[6] = reinterpret_cast<void*>(&fastconv_begin);
  here_ = frame;
}

void Fiber::resume() { fastconv_switch(&caller_, here_); }
void Fiber::leave() { fastconv_switch(&here_, caller_); }

}  // namespace fastconv::emulator
