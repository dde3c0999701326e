"""What Primer's tools share: booting a machine, the boot archive, ISO images, ELF symbols, the event trace."""
