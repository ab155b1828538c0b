"""Device meshes: each shape is made once in a rank, for a mesh opens process groups."""

from typing import TYPE_CHECKING

from hpml_models.types import Rank

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh


def mesh_of(rank: Rank, **sizes: int) -> "DeviceMesh":
    """Return the mesh with these dimensions; every rank must ask for it at the same time."""
    from torch.distributed.device_mesh import init_device_mesh

    key = f"mesh {sizes}"
    if key not in rank.kept:
        kind = rank.device.partition(":")[0]
        names = tuple(sizes)
        rank.kept[key] = init_device_mesh(kind, tuple(sizes.values()), mesh_dim_names=names)
    mesh: DeviceMesh = rank.kept[key]
    return mesh
