"""Segmentation networks, chosen by name.

A network is an ``nn.Module`` built as ``Net(in_channels, n_classes, *, options)``.  It maps
images (B, in_channels, H, W) to logits (B, n_classes, H, W) and states two facts:

``divisor``
    Both sides of its input must be multiples of it (``InputError`` otherwise).
``context_px``
    How far from a pixel the input can still change that pixel's logits. Networks that see a whole
    patch, by attention or by pooling over it, state the side of the patch they are drawn for.
``is_3d``
    Whether the network takes cubes (B, in_channels, D, H, W) of a volume and gives logits
    (B, n_classes, D, H, W); a class attribute, ``False`` where it is not stated. All three sides
    are then multiples of ``divisor``.

In evaluation mode the logits of an image do not depend on the others of its batch. In training a
network with deep supervision returns (B, S, n_classes, H, W), the final logits first of S heads
(see :func:`tomolith.learn.losses.base.over_heads`).
"""

from __future__ import annotations

from tomolith.config import Registry

NETWORKS = Registry(
    "network",
    {
        "unet": "tomolith.learn.networks.unet:UNet",
        "ynet": "tomolith.learn.networks.ynet:YNet",
        "transforcnn": "tomolith.learn.networks.transforcnn:TransforCNN",
        "ensemble": "tomolith.learn.networks.ensemble:Ensemble",
        "mcd_unet": "tomolith.learn.networks.mcd_unet:McdUNet",
        "local_unet": "tomolith.learn.networks.local_patches:LocalUNet",
        "adapted_lcgar": "tomolith.learn.networks.local_patches:AdaptedLcgar",
        "resnet18_centre": "tomolith.learn.networks.resnet_centre:Resnet18Centre",
        "matphase": "tomolith.learn.networks.matphase:MatPhase",
        "residual_unet": "tomolith.learn.networks.residual_unet:ResidualUNet",
        "residual_unet_3d": "tomolith.learn.networks.residual_unet:ResidualUNet3d",
        "segresnet": "tomolith.learn.networks.monai:SegResNet",
        "segresnet_ds": "tomolith.learn.networks.monai:SegResNetDS",
        "dynunet": "tomolith.learn.networks.monai:DynUNet",
        "swin_unetr": "tomolith.learn.networks.monai:SwinUNETR",
        "fcn": "tomolith.learn.networks.fcn:FCN",
        "segnet": "tomolith.learn.networks.segnet:SegNet",
        "unet_plus_plus": "tomolith.learn.networks.zoo:UNetPlusPlus",
        "deeplabv3": "tomolith.learn.networks.zoo:DeepLabV3",
        "manet": "tomolith.learn.networks.zoo:MANet",
        "segformer": "tomolith.learn.networks.zoo:SegFormer",
        "upernet": "tomolith.learn.networks.zoo:UPerNet",
    },
    group="tomolith.networks",
)

__all__ = ["NETWORKS"]
