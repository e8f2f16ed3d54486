# SPDX-License-Identifier: MIT
# What xtensa_machine.py runs on QEMU's dc233c before and around a module: window vectors, the two
# instructions that the core lacks (MULSH, MULUH), the stand-in for MicroPython's runtime, a list of calls. Loaded at 0x100000.
# Source of vectors and trap sequence: Xtensa ISA reference, Windowed Register and Exception options.
	.text
# ---- vectors of window overflow and underflow, as the ABI defines them
	s32e a0, a5, -16
	s32e a1, a5, -12
	s32e a2, a5, -8
	s32e a3, a5, -4
	rfwo
	.org 0x40
	l32e a0, a5, -16
	l32e a1, a5, -12
	l32e a2, a5, -8
	l32e a3, a5, -4
	rfwu
	.org 0x80
	s32e a0, a9, -16
	l32e a0, a1, -12
	s32e a1, a9, -12
	s32e a2, a9, -8
	s32e a3, a9, -4
	s32e a4, a0, -32
	s32e a5, a0, -28
	s32e a6, a0, -24
	s32e a7, a0, -20
	rfwo
	.org 0xc0
	l32e a1, a9, -12
	l32e a0, a9, -16
	l32e a7, a1, -12
	l32e a2, a9, -8
	l32e a4, a7, -32
	l32e a3, a9, -4
	l32e a5, a7, -28
	l32e a6, a7, -24
	l32e a7, a7, -20
	rfwu
	.org 0x100
	s32e a0, a13, -16
	l32e a0, a1, -12
	s32e a1, a13, -12
	s32e a2, a13, -8
	s32e a3, a13, -4
	s32e a4, a0, -48
	s32e a5, a0, -44
	s32e a6, a0, -40
	s32e a7, a0, -36
	s32e a8, a0, -32
	s32e a9, a0, -28
	s32e a10, a0, -24
	s32e a11, a0, -20
	rfwo
	.org 0x140
	l32e a1, a13, -12
	l32e a0, a13, -16
	l32e a11, a1, -12
	l32e a2, a13, -8
	l32e a4, a11, -48
	l32e a8, a11, -32
	l32e a3, a13, -4
	l32e a5, a11, -44
	l32e a6, a11, -40
	l32e a7, a11, -36
	l32e a9, a11, -28
	l32e a10, a11, -24
	l32e a11, a11, -20
	rfwu
	.org 0x180
	j failed
	.org 0x1c0
	j failed
	.org 0x200
	j failed
	.org 0x240
	j failed
	.org 0x280
	j failed
	.org 0x2c0
	j failed
	.org 0x300
	j trapped
	.org 0x340
	j trapped
	.org 0x3c0
	j failed

# ---- an exception: MULSH and MULUH are done here, anything else ends the run
# Frame at 0x170000: a0..a15, 64: where to go on, 68: how many there were, 72: the product; then, 8 bytes
# each, l32r aN, product; ill. The product is loaded outside the handler, since only there a window overflows.
	.org 0x400
trapped:
	wsr a0, excsave1
	movi a0, 0x17
	slli a0, a0, 16
	s32i a1, a0, 4
	s32i a2, a0, 8
	s32i a3, a0, 12
	s32i a4, a0, 16
	s32i a5, a0, 20
	s32i a6, a0, 24
	s32i a7, a0, 28
	s32i a8, a0, 32
	s32i a9, a0, 36
	s32i a10, a0, 40
	s32i a11, a0, 44
	s32i a12, a0, 48
	s32i a13, a0, 52
	s32i a14, a0, 56
	s32i a15, a0, 60
	rsr a1, excsave1
	s32i a1, a0, 0
	rsr a1, sar
	s32i a1, a0, 76
	rsr a1, exccause
	bnez a1, failed
	rsr a1, epc1
	movi a2, -4
	and a2, a1, a2
	l32i a3, a2, 0
	l32i a4, a2, 4
	ssa8l a1
	src a2, a4, a3
	slli a2, a2, 8
	srli a2, a2, 8
	bnez a2, multiply
	l32i a1, a0, 64
	wsr a1, epc1
	j leave
multiply:
	addi a1, a1, 3
	s32i a1, a0, 64
	srli a3, a2, 15
	srli a7, a3, 1
	# 0xb2 or, unsigned, 0xa2
	movi a4, 16
	or a4, a4, a7
	movi a5, 0xb2
	beq a4, a5, 1f
	j failed
1:
	extui a3, a2, 0, 4
	beqz a3, 1f
	j failed
1:
	extui a3, a2, 8, 4
	addx4 a3, a3, a0
	l32i a5, a3, 0
	extui a3, a2, 4, 4
	addx4 a3, a3, a0
	l32i a6, a3, 0
	mov a8, a5
	mov a9, a6
	extui a3, a2, 12, 4
	addx8 a3, a3, a0
	addi a3, a3, 80
	wsr a3, epc1
	extui a10, a8, 0, 16
	srai a11, a8, 16
	extui a12, a9, 0, 16
	srai a13, a9, 16
	mull a8, a10, a12
	mull a12, a11, a12
	mull a10, a10, a13
	mull a13, a11, a13
	srli a8, a8, 15
	srli a8, a8, 1
	add a8, a8, a12
	extui a9, a8, 0, 16
	add a9, a9, a10
	srai a8, a8, 16
	srai a9, a9, 16
	add a8, a8, a9
	add a8, a8, a13
	# unsigned: the other factor once more for each that looks negative; as many steps for both
	extui a7, a7, 4, 1
	addi a7, a7, -1
	srai a9, a5, 31
	and a9, a9, a6
	and a9, a9, a7
	add a8, a8, a9
	srai a9, a6, 31
	and a9, a9, a5
	and a9, a9, a7
	add a8, a8, a9
	s32i a8, a0, 72
	l32i a8, a0, 68
	addi a8, a8, 1
	s32i a8, a0, 68
leave:
	l32i a1, a0, 76
	wsr a1, sar
	l32i a1, a0, 4
	l32i a2, a0, 8
	l32i a3, a0, 12
	l32i a4, a0, 16
	l32i a5, a0, 20
	l32i a6, a0, 24
	l32i a7, a0, 28
	l32i a8, a0, 32
	l32i a9, a0, 36
	l32i a10, a0, 40
	l32i a11, a0, 44
	l32i a12, a0, 48
	l32i a13, a0, 52
	l32i a14, a0, 56
	l32i a15, a0, 60
	rsr a0, excsave1
	rfe
failed:
	# exit(64 + cause); the address is written to the standard error first, as 4 bytes behind the frame
	movi a0, 0x17
	slli a0, a0, 16
	rsr a4, epc1
	addmi a5, a0, 0x100
	s32i a4, a5, 0
	rsr a4, excvaddr
	s32i a4, a5, 4
	mov a4, a5
	movi a5, 8
	movi a3, 2
	movi a2, 4
	.byte 0x00, 0x51, 0x00
	rsr a3, exccause
	addi a3, a3, 64
	movi a2, 1
	.byte 0x00, 0x51, 0x00
	j failed

# ---- MicroPython's function table, as far as the module uses it; at 0x100600, 16 bytes each
	.org 0x600
	# identity: to_object(value, type), swap_globals(new), check_args(..)
	entry a1, 32
	retw
	.org 0x610
	# store_global(name, object): object to 0x170200 + 4 * name
	entry a1, 32
	j store_global
	.org 0x620
	# make_function(raw, ..): its code is all that is ever used
	entry a1, 32
	l32i a2, a2, 4
	retw
	.org 0x630
	# get_buffer(object, info, access): the objects are {start, bytes}
	entry a1, 32
	j get_buffer
	.org 0x640
store_global:
	movi a4, 0x17
	slli a4, a4, 16
	addmi a4, a4, 0x200
	addx4 a4, a2, a4
	s32i a3, a4, 0
	retw
get_buffer:
	l32i a4, a2, 0
	l32i a5, a2, 4
	s32i a4, a3, 0
	s32i a5, a3, 4
	movi a4, 66
	s32i a4, a3, 8
	movi a2, 1
	retw

# ---- start: map 0x40000000 (the chips' ROM) to address 0, then make the calls of the list at 0x180000
	.org 0x700
	movi a0, 0
	wsr a0, windowbase
	rsync
	movi a0, 1
	wsr a0, windowstart
	rsync
	movi a2, 1
	slli a2, a2, 20
	wsr a2, vecbase
	movi a2, 1
	slli a2, a2, 30
	addi a2, a2, 6
	movi a3, 3
	wdtlb a3, a2
	dsync
	movi a0, 0x20
	slli a0, a0, 13
	wsr a0, ps
	rsync
	movi a4, 0x18
	slli a4, a4, 16
	movi a0, 0
	# list: stack pointer, number of calls, regions: start, bytes, start, bytes; then 8 words a call:
	# code or the name of a global, four arguments; left there: result, cycles, traps
	l32i a1, a4, 0
	l32i a5, a4, 4
	addi a4, a4, 32
again:
	l32i a8, a4, 0
	# name 102, invoke, only where the call before, check, gave 0
	movi a7, 102
	bne a8, a7, allowed
	addi a7, a4, -32
	l32i a7, a7, 20
	bnez a7, next
allowed:
	movi a6, 0x17
	slli a6, a6, 16
	movi a7, 256
	bgeu a8, a7, code
	addmi a7, a6, 0x200
	addx4 a7, a8, a7
	l32i a8, a7, 0
code:
	movi a7, 0
	s32i a7, a6, 68
	l32i a10, a4, 4
	l32i a11, a4, 8
	l32i a12, a4, 12
	l32i a13, a4, 16
	rsr a7, ccount
	callx8 a8
	rsr a6, ccount
	sub a6, a6, a7
	s32i a10, a4, 20
	s32i a6, a4, 24
	movi a6, 0x17
	slli a6, a6, 16
	l32i a6, a6, 68
	s32i a6, a4, 28
next:
	addi a4, a4, 32
	addi a5, a5, -1
	bnez a5, again
	# write both regions to the standard output
	movi a6, 0x18
	slli a6, a6, 16
	movi a3, 1
	movi a2, 4
	l32i a4, a6, 8
	l32i a5, a6, 12
	.byte 0x00, 0x51, 0x00
	movi a3, 1
	movi a2, 4
	l32i a4, a6, 16
	l32i a5, a6, 20
	.byte 0x00, 0x51, 0x00
	movi a2, 1
	movi a3, 0
	.byte 0x00, 0x51, 0x00
	j failed

# ---- what a cold processor runs first, at its reset vector: jump to 0x100700
	.org 0x800
	movi a2, 1
	slli a2, a2, 20
	addmi a2, a2, 0x700
	jx a2
