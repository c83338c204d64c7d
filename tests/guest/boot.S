/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest's first sector: loads the others, leaves real mode and calls
 * guest().
 */
	.set OURS, 16			# sectors, with this one
	.set PROTECTED, 1
	.set CODE, 8
	.set DATA, 16

	.code16
	.globl _start
_start:
	ljmp	$0, $1f
1:	xor	%ax, %ax
	mov	%ax, %ds
	mov	%ax, %es
	mov	%ax, %ss
	mov	$_start, %sp

	mov	$0x42, %ah		# from the disk that BIOS left in %dl
	mov	$packet, %si
	int	$0x13
	jc	dead
	cli
	cld
	lgdt	table_size
	mov	%cr0, %eax
	or	$PROTECTED, %al
	mov	%eax, %cr0
	ljmp	$CODE, $protected
dead:	cli
	hlt
	jmp	dead

	.code32
protected:
	mov	$DATA, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	mov	$_start, %esp
	mov	$__bss_start, %edi
	mov	$_end, %ecx
	sub	%edi, %ecx
	xor	%eax, %eax
	rep stosb
	call	guest

	.balign	8
table:	.quad	0
	.quad	0x00cf9a000000ffff	# code and data are all there is
	.quad	0x00cf92000000ffff
table_size:
	.word	. - table - 1
	.long	table

packet:	.byte	16, 0
	.word	OURS - 1
	.word	_start + 512, 0
	.quad	1

	.org	510
	.word	0xaa55
