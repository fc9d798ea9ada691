# Where a thread begins. The stack pointer is a global of each instance: no C may run before it is set.
	.globaltype	__stack_pointer, i32
	.functype	runThread (i32, i32) -> ()
	.section	.text.wasi_thread_start,"",@
	.globl	wasi_thread_start
	.export_name	wasi_thread_start, wasi_thread_start
	.type	wasi_thread_start,@function
wasi_thread_start:
	.functype	wasi_thread_start (i32, i32) -> ()
	local.get	1
	i32.load	0
	global.set	__stack_pointer
	local.get	0
	local.get	1
	call	runThread
	end_function
