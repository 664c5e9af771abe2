// SPDX-License-Identifier: BSL-1.0
// Nothing but the precompiled header.
