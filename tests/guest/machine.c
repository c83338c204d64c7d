// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The chipset's registers are where SeaBIOS puts them.  No interrupt is used.
 */
#include "machine.h"

enum {
	COM1 = 0x3f8,
	PCI_ADDRESS = 0xcf8,
	PCI_DATA = 0xcfc,
	PM_STATUS = 0x600,
	PM_ENABLE = 0x602,
	PM_CONTROL = 0x604,
	POWER_BUTTON = 0x100,
	POWER_OFF = 0x2000,
	PLUGGED = 0xae00,
	UNPLUG = 0xae04,
	EJECT = 0xae08,
};

void machine_halt(void)
{
	for (;;)
		__asm__ volatile("cli; hlt");
}

bool power_button(void)
{
	return inw(PM_STATUS) & POWER_BUTTON;
}

void power_off(void)
{
	outw(PM_CONTROL, POWER_OFF);
	machine_halt();
}

/* --- PCI ------------------------------------------------------------------ */

static void pci_select(uint8_t slot, uint8_t where)
{
	outl(PCI_ADDRESS, 1u << 31 | (uint32_t)slot << 11 | where);
}

uint32_t pci_read(uint8_t slot, uint8_t where)
{
	pci_select(slot, where);
	return inl(PCI_DATA);
}

void pci_write(uint8_t slot, uint8_t where, uint32_t value)
{
	pci_select(slot, where);
	outl(PCI_DATA, value);
}

uint32_t slots_plugged(void)
{
	return inl(PLUGGED);
}

uint32_t slots_to_unplug(void)
{
	return inl(UNPLUG);
}

void slots_eject(uint32_t slots)
{
	outl(EJECT, slots);
}

/* --- the serial port ------------------------------------------------------ */

/* 115200 baud: QEMU does emulate the time that the bytes take. */
static void serial_setup(void)
{
	outb(COM1 + 3, 0x80);
	outb(COM1, 1);
	outb(COM1 + 1, 0);
	outb(COM1 + 3, 3);
}

static void put(char c)
{
	while (!(inb(COM1 + 5) & 0x20))
		;
	outb(COM1, c);
}

void print(const char *text)
{
	while (*text)
		put(*text++);
}

void print_number(uint32_t number)
{
	if (number >= 10)
		print_number(number / 10);
	put('0' + number % 10);
}

void machine_setup(void)
{
	serial_setup();
	outw(PM_ENABLE, POWER_BUTTON);
}
