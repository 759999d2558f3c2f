"""An image in three sizes and three filters, made by a real image library, branch beside branch.

Source: the documentation's example "Image Processing".
"""

import asyncio
import io
from pathlib import Path
from typing import TypedDict

from PIL import Image, ImageFilter, ImageOps

from workflow_agents import AsyncWorkflowContext, Engine

engine = Engine("images.db")
FILTERS = ("grayscale", "sepia", "contrast")
WIDTHS = (40, 80, 160)


class Payload(TypedDict):
    image_id: str
    user_id: str


def upload(image_id: str) -> None:
    """What the user has uploaded: a picture with something in it."""
    picture = Image.radial_gradient("L").resize((320, 200))
    coloured = ImageOps.colorize(picture, "navy", "gold").filter(ImageFilter.SMOOTH)
    coloured.save(f"{image_id}.png")


def resize(image_id: str, width: int) -> str:
    """Write the image in another width; the name of the file."""
    with Image.open(f"{image_id}.png") as image:
        name = f"{image_id}-{width}.png"
        image.resize((width, image.height * width // image.width)).save(name)
    return name


def apply(filter_name: str, source: str) -> str:
    """Write a filtered copy; the name of the file."""
    with Image.open(source) as image:
        grey = ImageOps.grayscale(image)
        match filter_name:
            case "grayscale":
                made = grey
            case "sepia":
                made = ImageOps.colorize(grey, "#2e1a05", "#ffe9c4")
            case _:
                made = ImageOps.autocontrast(image.convert("RGB"))
    name = source.replace(".png", f"-{filter_name}.png")
    made.save(name)
    return name


@engine.workflow("/process-image")
async def process_image(context: AsyncWorkflowContext[Payload]) -> list[str]:
    """Each size is a branch of its own, and each of its filters a branch of that."""
    image_id = context.request_payload["image_id"]

    async def in_width(width: int) -> list[str]:
        resized = await context.run(f"resize-image-{width}", lambda: resize(image_id, width))
        return list(
            await asyncio.gather(
                *(
                    context.run(f"apply-{name}-{width}", lambda name=name: apply(name, resized))
                    for name in FILTERS
                )
            )
        )

    made = await asyncio.gather(*(in_width(width) for width in WIDTHS))
    return await context.run("store", lambda: sorted(name for names in made for name in names))


async def main() -> None:
    upload("lamp")
    async with engine:
        handle = await engine.client.trigger(process_image, {"image_id": "lamp", "user_id": "ada"})
        for name in await handle.result():
            content = Path(name).read_bytes()
            with Image.open(io.BytesIO(content)) as image:
                print(name, image.size, image.mode)


asyncio.run(main())

# prints:
#   lamp-160-contrast.png (160, 100) RGB
#   lamp-160-grayscale.png (160, 100) L
#   lamp-160-sepia.png (160, 100) RGB
#   lamp-40-contrast.png (40, 25) RGB
#   lamp-40-grayscale.png (40, 25) L
#   lamp-40-sepia.png (40, 25) RGB
#   lamp-80-contrast.png (80, 50) RGB
#   lamp-80-grayscale.png (80, 50) L
#   lamp-80-sepia.png (80, 50) RGB
