"""Colours of the lesions, the same in SEG and overlay."""

Rgb = tuple[int, int, int]

# Apart from each other also for the colour-blind (after Okabe and Ito, 2008), bright enough for a
# dark reading room; red and green are left to whatever the viewer draws itself.
LESION_COLOURS: tuple[Rgb, ...] = (
    (255, 176, 0),
    (86, 196, 255),
    (255, 121, 198),
    (0, 212, 160),
    (245, 240, 90),
    (170, 140, 255),
)


def lesion_colour(number: int) -> Rgb:
    """Colour of a lesion by its number (from 1); repeats after the last one."""
    return LESION_COLOURS[(number - 1) % len(LESION_COLOURS)]
