/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The machine that the guest runs on: QEMU's `pc`, with ACPI, as SeaBIOS
 * leaves it.
 */
#ifndef MACHINE_H
#define MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#define SLOTS 32 /* of the only PCI bus */

#define DEFINE_PORT(type, letter) \
	static inline void out##letter(uint16_t port, type value) \
	{ \
		__asm__ volatile("out" #letter " %0, %1" ::"a"(value), \
				 "Nd"(port) \
				 : "memory"); \
	} \
	static inline type in##letter(uint16_t port) \
	{ \
		type value; \
		__asm__ volatile("in" #letter " %1, %0" \
				 : "=a"(value) \
				 : "Nd"(port) \
				 : "memory"); \
		return value; \
	}
DEFINE_PORT(uint8_t, b)
DEFINE_PORT(uint16_t, w)
DEFINE_PORT(uint32_t, l)

void machine_setup(void);
void __attribute__((noreturn)) machine_halt(void);

bool power_button(void);
void __attribute__((noreturn)) power_off(void);

uint32_t pci_read(uint8_t slot, uint8_t where);
void pci_write(uint8_t slot, uint8_t where, uint32_t value);

/* Slots in which a disk was plugged, one bit each; each slot is told once. */
uint32_t slots_plugged(void);

/* Slots whose disks must go, and the answer. */
uint32_t slots_to_unplug(void);
void slots_eject(uint32_t slots);

/* Prints to the serial port. */
void print(const char *text);
void print_number(uint32_t number);

#endif /* MACHINE_H */
